"""Runs steps, says how each ended, and repeats all that was received.

The caller looks for the secret in what is printed here, so everything that the database sent has to
pass through `show`.
"""

import asyncio
import sys
import traceback

MASKED = sys.argv[1] == "masked"
SSN = "[masked]" if MASKED else "top-secret"
failed = 0


def show(value):
    print("received", repr(value))
    return value


def equal(found, wanted):
    show(found)
    if found != wanted:
        raise AssertionError(f"{found!r} is not {wanted!r}")


def say(name, error=None):
    global failed
    if error is None:
        print("ok    ", name)
        return
    failed += 1
    print("FAILED", name)
    traceback.print_exception(error, limit=-2, file=sys.stdout)


def run(steps):
    """Plain steps, one after the other."""
    for step in steps:
        try:
            step()
            say(step.__name__)
        except Exception as error:
            say(step.__name__, error)
    sys.exit(min(failed, 1))


def run_async(steps):
    async def all_of_them():
        for step in steps:
            try:
                await asyncio.wait_for(step(), 60)
                say(step.__name__)
            except Exception as error:
                say(step.__name__, error)

    asyncio.run(all_of_them())
    sys.exit(min(failed, 1))
