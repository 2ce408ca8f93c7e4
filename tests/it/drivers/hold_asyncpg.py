"""asyncpg: a statement that is held for longer than the program wants to wait."""

import asyncio

import asyncpg


async def main():
    connection = await asyncpg.connect()
    try:
        await connection.execute("DELETE FROM people WHERE id = $1", 2, timeout=1)
    except (TimeoutError, asyncio.TimeoutError):
        print("timed out")
    print(await connection.fetchval("SELECT count(*) FROM people"))


asyncio.run(main())
