"""asyncpg: binary everywhere, everything prepared, and its own questions about types."""

import asyncio
import datetime
import decimal
import json
import os
import uuid

import asyncpg

from steps import MASKED, SSN, equal, run_async, show

# for a socket it looks up `localhost` in a password file; what hoopctl starts has a URL that holds everything
WHERE = os.environ.get("DB_URL")
connection = None


async def connect():
    global connection
    connection = await asyncpg.connect(WHERE)
    equal(await connection.fetchval("SELECT 1"), 1)


async def simple_query():
    equal(await connection.execute("SELECT 1; SELECT 2"), "SELECT 1")
    row = await connection.fetchrow("SELECT * FROM people ORDER BY id")
    equal(dict(row), {"id": 1, "name": "ada", "ssn": SSN})


async def parametrised_query():
    equal(await connection.fetchval("SELECT ssn FROM people WHERE id = $1", 1), SSN)
    found = await connection.fetch("SELECT id FROM people WHERE ssn = $1", "top-secret")
    equal([row["id"] for row in found], [] if MASKED else [1])
    found = await connection.fetch("SELECT id FROM people WHERE id = ANY($1::int[]) ORDER BY id", [1, 2, 9])
    equal([row["id"] for row in found], [1, 2])


async def cached_statement():
    for number in range(100):
        equal(await connection.fetchval("SELECT $1::int4 + id FROM people WHERE ssn <> $2 AND id = 1", number, "x"), number + 1)


async def prepared_statement():
    statement = await connection.prepare("SELECT id, ssn FROM people WHERE id = $1")
    equal([a.name for a in statement.get_attributes()], ["id", "ssn"])
    equal([p.name for p in statement.get_parameters()], ["int4"])
    for number in (1, 2, 1):
        row = await statement.fetchrow(number)
        equal(row["id"], number)
    await statement.fetch(1)


async def introspection():
    """Types that asyncpg does not know are looked up with a long recursive query."""
    equal(await connection.fetchval("SELECT $1::mood", "happy"), "happy")
    equal(await connection.fetchval("SELECT ARRAY['sad', 'happy']::mood[]"), ["sad", "happy"])
    equal(tuple(await connection.fetchval("SELECT ROW(1, 'x')::pair")), (1, "x"))
    equal(await connection.fetchval("SELECT $1::positive", 3), 3)
    equal(await connection.fetchval("SELECT int4range(1, 5)"), asyncpg.Range(1, 5))


async def type_codec():
    await connection.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
    equal(await connection.fetchval("SELECT $1::jsonb", {"a": [1]}), {"a": [1]})
    await connection.reset_type_codec("jsonb", schema="pg_catalog")


async def executemany():
    await connection.execute("DELETE FROM things")
    await connection.executemany("INSERT INTO things (id, number) VALUES ($1, $2)", [(uuid.uuid4(), n) for n in range(2000)])
    equal(await connection.fetchval("SELECT sum(number) FROM things"), 2000 * 1999 // 2)
    rows = await connection.fetchmany("INSERT INTO things (id, number) VALUES ($1, $2) RETURNING number", [(uuid.uuid4(), n) for n in range(3)])
    equal([row["number"] for row in rows], [0, 1, 2])


async def round_trips():
    await connection.execute("DELETE FROM things")
    row = (
        uuid.uuid4(),
        json.dumps({"a": [1, {"b": None}], "ü": "é"}),
        ["x", "y,z", None, '"'],
        datetime.datetime(2024, 2, 29, 12, 30, 15, 123456, tzinfo=datetime.timezone.utc),
        decimal.Decimal("12345678901234567890.000100"),
        b"\x00\xff\x01",
    )
    await connection.execute("INSERT INTO things (id, doc, tags, at, amount, raw) VALUES ($1, $2, $3, $4, $5, $6)", *row)
    found = list(await connection.fetchrow("SELECT id, doc, tags, at, amount, raw FROM things"))
    found[1] = json.loads(found[1])
    equal(tuple(found), (row[0], json.loads(row[1]), *row[2:]))


async def copy():
    await connection.execute("DELETE FROM things")
    records = [(uuid.uuid4(), n) for n in range(3000)]
    equal(await connection.copy_records_to_table("things", records=records, columns=["id", "number"]), "COPY 3000")
    received = bytearray()

    async def take(data):
        received.extend(data)

    equal(await connection.copy_from_query("SELECT id, ssn FROM people WHERE id = $1", 1, output=take, format="csv"), "COPY 1")
    equal(received.decode(), f"1,{SSN}\n")
    received.clear()
    equal(await connection.copy_from_table("people", output=take, columns=["ssn"]), "COPY 2")
    show(received.decode())


async def failed_copy():
    try:
        await connection.copy_records_to_table("things", records=[(uuid.uuid4(), 1), (None, 2)], columns=["id", "number"])
        raise AssertionError("no error")
    except asyncpg.NotNullViolationError as error:
        show(str(error))
    equal(await connection.fetchval("SELECT 1"), 1)


async def transaction_and_savepoints():
    await connection.execute("DELETE FROM things")
    async with connection.transaction():
        await connection.execute("INSERT INTO things (id, number) VALUES (gen_random_uuid(), 1)")
        try:
            async with connection.transaction():
                await connection.execute("INSERT INTO things (id, number) VALUES (gen_random_uuid(), 2)")
                await connection.execute("SELECT 1/0")
        except asyncpg.DivisionByZeroError as error:
            show(str(error))
        await connection.execute("INSERT INTO things (id, number) VALUES (gen_random_uuid(), 3)")
    equal([r["number"] for r in await connection.fetch("SELECT number FROM things ORDER BY 1")], [1, 3])
    async with connection.transaction(isolation="serializable", readonly=True, deferrable=True):
        equal(await connection.fetchval("SELECT ssn FROM people WHERE id = 1"), SSN)


async def cursor():
    async with connection.transaction():
        seen = [row["id"] async for row in connection.cursor("SELECT id, ssn FROM people ORDER BY id", prefetch=1)]
        equal(seen, [1, 2])
        slow = await connection.cursor("SELECT n, ssn FROM people, generate_series(1, 100) n WHERE id = $1 ORDER BY n", 1)
        equal([tuple(row) for row in await slow.fetch(2)], [(1, SSN), (2, SSN)])
        await slow.forward(10)
        equal((await slow.fetchrow())["n"], 13)


async def notifications():
    # drivers tell by it whether a notification is their own
    if not MASKED:
        equal(connection.get_server_pid(), await connection.fetchval("SELECT pg_backend_pid()"))
    heard = asyncio.get_running_loop().create_future()
    await connection.add_listener("news", lambda *what: heard.set_result(what[2:]))
    other = await asyncpg.connect(WHERE)
    await other.execute("NOTIFY news, 'hello'")
    equal(await asyncio.wait_for(heard, 20), ("news", "hello"))
    await other.close()
    await connection.reset()


async def large_object():
    try:
        oid = await connection.fetchval("SELECT lo_from_bytea(0, $1)", b"\x00\xff\x01")
    except asyncpg.InsufficientPrivilegeError as error:
        assert MASKED, error
        show(str(error))
        return
    assert not MASKED
    equal(await connection.fetchval("SELECT lo_get($1)", oid), b"\x00\xff\x01")
    await connection.fetchval("SELECT lo_unlink($1)", oid)


async def cancellation():
    """A task that is cancelled cancels its statement, on a connection of its own."""
    task = asyncio.create_task(connection.fetchval("SELECT pg_sleep(30)"))
    await asyncio.sleep(0.3)
    task.cancel()
    try:
        await task
        raise AssertionError("not cancelled")
    except asyncio.CancelledError:
        pass
    equal(await asyncio.wait_for(connection.fetchval("SELECT 3"), 20), 3)


async def timeout():
    try:
        await connection.fetchval("SELECT pg_sleep(30)", timeout=0.3)
        raise AssertionError("no timeout")
    except asyncio.TimeoutError:
        pass
    equal(await connection.fetchval("SELECT 2"), 2)


async def pool():
    """A pool resets each connection that comes back to it."""
    async with asyncpg.create_pool(WHERE, min_size=2, max_size=4) as pool:
        found = await asyncio.gather(*[pool.fetchval("SELECT ssn FROM people WHERE id = $1", 1) for _ in range(40)])
    equal(set(found), {SSN})


async def errors():
    try:
        await connection.fetch("SELECT nothing FROM people")
        raise AssertionError("no error")
    except asyncpg.UndefinedColumnError as error:
        show((str(error), error.position))
    try:
        show(await connection.fetch("SELECT ssn::int4 FROM people"))
        raise AssertionError("no error")
    except asyncpg.InvalidTextRepresentationError as error:
        if MASKED:
            show(str(error))


async def close():
    await connection.close()


steps = [
    connect,
    simple_query,
    parametrised_query,
    cached_statement,
    prepared_statement,
    introspection,
    type_codec,
    executemany,
    round_trips,
    copy,
    failed_copy,
    transaction_and_savepoints,
    cursor,
    large_object,
    cancellation,
    timeout,
    pool,
    errors,
]
if not MASKED:
    steps.append(notifications)
steps.append(close)
run_async(steps)
