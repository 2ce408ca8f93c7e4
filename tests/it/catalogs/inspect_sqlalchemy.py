"""SQLAlchemy's reflection: all that its inspector can be asked, by both of its usual drivers."""

import asyncio
import os

from sqlalchemy import MetaData, create_engine, inspect, select
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import create_async_engine


def everything(connection):
    inspector = inspect(connection)
    for ask in ("default_schema_name", "get_schema_names", "get_table_names", "get_view_names"):
        found = getattr(inspector, ask)
        say(ask, found() if callable(found) else found)
    for schema in ("shop", "information_schema"):
        for ask in (
            "get_table_names",
            "get_view_names",
            "get_materialized_view_names",
            "get_temp_table_names",
            "get_sequence_names",
            "get_enums",
            "get_domains",
            "get_foreign_table_names",
            "get_sorted_table_and_fkc_names",
        ):
            found = getattr(inspector, ask)
            say(schema, ask, found() if ask == "get_temp_table_names" else found(schema=schema))
    from sqlalchemy.engine.reflection import ObjectKind, ObjectScope

    for ask in (
        "get_multi_columns",
        "get_multi_pk_constraint",
        "get_multi_foreign_keys",
        "get_multi_indexes",
        "get_multi_unique_constraints",
        "get_multi_check_constraints",
        "get_multi_table_comment",
        "get_multi_table_options",
    ):
        found = getattr(inspector, ask)(schema="shop", kind=ObjectKind.ANY, scope=ObjectScope.ANY)
        for (_, table), what in sorted(found.items()):
            say(ask, table, what)
    for view in ("unpaid", "reachable", "totals"):
        say(view, inspector.get_view_definition(view, schema="shop"))
    for table in ("orders", "nothing"):
        say(table, inspector.has_table(table, schema="shop"), inspector.has_schema(table))
    say(inspector.has_sequence("numbers", schema="shop"), inspector.has_index("orders", "orders_by_tag", schema="shop"))
    say(inspector.get_table_oid("orders", schema="shop") > 0)
    metadata = MetaData(schema="shop")
    metadata.reflect(connection, views=True)
    for table in metadata.sorted_tables:
        say(table.fullname, [(column.name, repr(column.type), column.nullable) for column in table.columns])
    customers = metadata.tables["shop.customers"]
    say(connection.execute(select(customers.c.id, customers.c.name).order_by(customers.c.id)).fetchall())


def say(*what):
    print(*map(repr, what), flush=True)


def url(driver):
    place = os.environ
    return URL.create(
        f"postgresql+{driver}",
        place["PGUSER"],
        place["PGPASSWORD"],
        database=place["PGDATABASE"],
        query={"host": place["PGHOST"], "port": place["PGPORT"]},
    )


async def by_asyncpg():
    engine = create_async_engine(url("asyncpg"))
    async with engine.connect() as connection:
        await connection.run_sync(everything)
    await engine.dispose()


with create_engine(url("psycopg")).connect() as connection:
    everything(connection)
asyncio.run(by_asyncpg())
print("done")
