"""psycopg 3: the ways in which a Python program speaks to PostgreSQL through libpq."""

import datetime
import decimal
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from psycopg_pool import ConnectionPool

from steps import MASKED, SSN, equal, run, show

connection = psycopg.connect(autocommit=True)


def simple_query():
    cursor = psycopg.ClientCursor(connection)
    equal(cursor.execute("SELECT id, name, ssn FROM people ORDER BY id").fetchone(), (1, "ada", SSN))
    cursor.execute("SELECT 1; SELECT 2")
    equal(cursor.fetchone(), (1,))
    cursor.nextset()
    equal(cursor.fetchone(), (2,))


def empty_query():
    for text in ("", " ", ";", "-- nothing"):
        equal(connection.execute(text).statusmessage or "", "")
    equal(connection.execute("", prepare=True).statusmessage or "", "")


def parametrised_query():
    equal(connection.execute("SELECT ssn FROM people WHERE id = %s", [1]).fetchone(), (SSN,))
    equal(connection.execute("SELECT id FROM people WHERE ssn = %s", ["top-secret"]).fetchall(), [] if MASKED else [(1,)])
    equal(connection.execute("SELECT id FROM people WHERE id = ANY(%s) ORDER BY id", [[1, 2, 9]]).fetchall(), [(1,), (2,)])
    equal(connection.execute("SELECT %s, %s", ["text", None]).fetchone(), ("text", None))


def prepared_after_some_executions():
    for number in range(20):
        row = connection.execute("SELECT id, ssn, %s::int4 FROM people WHERE id = 1", [number]).fetchone()
        equal(row, (1, SSN, number))
    for number in range(5):
        equal(connection.execute("SELECT %s::int4 * 2", [number], prepare=True).fetchone(), (number * 2,))


def statements_are_forgotten():
    for number in range(120):
        query = sql.SQL("SELECT {}").format(sql.Literal(number))
        equal(connection.execute(query, prepare=True).fetchone(), (number,))


def binary_results():
    cursor = connection.cursor(binary=True)
    equal(cursor.execute("SELECT id, ssn FROM people WHERE id = %b", [1]).fetchone(), (1, SSN))
    equal(cursor.execute("SELECT now() > '2000-01-01'::timestamptz, 1.5::numeric").fetchone(), (True, decimal.Decimal("1.5")))


def dictionaries():
    row = connection.cursor(row_factory=dict_row).execute("SELECT * FROM people WHERE id = 1").fetchone()
    equal(row, {"id": 1, "name": "ada", "ssn": SSN})


def pipeline():
    with connection.pipeline():
        answers = [connection.execute("SELECT %s::int4, ssn FROM people WHERE id = 1", [n]) for n in range(200)]
        equal(answers[0].fetchone(), (0, SSN))
    equal([answer.fetchone() for answer in answers[1:]], [(n, SSN) for n in range(1, 200)])


def error_in_a_pipeline():
    try:
        with connection.pipeline():
            first = connection.execute("SELECT 1")
            connection.execute("SELECT nonsense FROM people")
            connection.execute("SELECT 3")
        raise AssertionError("no error")
    except psycopg.errors.UndefinedColumn as error:
        show(str(error))
    equal(first.fetchone(), (1,))
    equal(connection.execute("SELECT 4").fetchone(), (4,))


def executemany():
    cursor = connection.cursor()
    cursor.execute("DELETE FROM things")
    rows = [(uuid.uuid4(), n) for n in range(500)]
    cursor.executemany("INSERT INTO things (id, number) VALUES (%s, %s)", rows)
    equal(cursor.rowcount, 500)
    equal(connection.execute("SELECT count(*), sum(number) FROM things").fetchone(), (500, 124750))
    cursor.executemany("INSERT INTO things (id, number) VALUES (%s, %s) RETURNING number", [(uuid.uuid4(), n) for n in range(3)], returning=True)
    seen = [cursor.fetchone()]
    while cursor.nextset():
        seen.append(cursor.fetchone())
    equal(seen, [(0,), (1,), (2,)])


def round_trips():
    connection.execute("DELETE FROM things")
    row = (
        uuid.uuid4(),
        {"a": [1, {"b": None}], "ü": "é"},
        ["x", "y,z", None, '"'],
        datetime.datetime(2024, 2, 29, 12, 30, 15, 123456, tzinfo=datetime.timezone.utc),
        decimal.Decimal("12345678901234567890.000100"),
        b"\x00\xff\x01",
    )
    for binary in (False, True):
        cursor = connection.cursor(binary=binary)
        cursor.execute(
            "INSERT INTO things (id, doc, tags, at, amount, raw) VALUES (%s, %s, %s, %s, %s, %s)",
            (row[0], Jsonb(row[1]), *row[2:]),
        )
        cursor.execute("SELECT id, doc, tags, at, amount, raw FROM things")
        equal(cursor.fetchone(), row)
        cursor.execute("DELETE FROM things")


def copy():
    connection.execute("DELETE FROM things")
    cursor = connection.cursor()
    with cursor.copy("COPY things (id, number, tags) FROM STDIN") as out:
        for number in range(3000):
            out.write_row((uuid.uuid4(), number, ["a", "b\tc"]))
    equal(connection.execute("SELECT count(*) FROM things").fetchone(), (3000,))
    with cursor.copy("COPY (SELECT number FROM things ORDER BY number) TO STDOUT") as rows:
        equal(sum(int(row[0]) for row in rows.rows()), 3000 * 2999 // 2)
    with cursor.copy("COPY people TO STDOUT (FORMAT csv, HEADER)") as data:
        text = b"".join(bytes(piece) for piece in data).decode()
    equal(text, f"id,name,ssn\n1,ada,{SSN}\n2,bob,{SSN if MASKED else 'top-secret-2'}\n")
    with cursor.copy("COPY people (id, ssn) TO STDOUT (FORMAT binary)") as rows:
        rows.set_types(["int4", "text"])
        equal(list(rows.rows())[0], (1, SSN))


def binary_copy_in():
    connection.execute("DELETE FROM things")
    with connection.cursor().copy("COPY things (id, number) FROM STDIN (FORMAT binary)") as out:
        out.set_types(["uuid", "int4"])
        out.write_row((uuid.uuid4(), 7))
    equal(connection.execute("SELECT number FROM things").fetchall(), [(7,)])


def failed_copies():
    cursor = connection.cursor()
    try:
        with cursor.copy("COPY things (id) FROM STDIN") as out:
            out.write("not a uuid\n")
        raise AssertionError("no error")
    except psycopg.errors.InvalidTextRepresentation as error:
        show(str(error))
    try:
        with cursor.copy("COPY things (id) FROM STDIN") as out:
            raise RuntimeError("changed my mind")
    except RuntimeError:
        pass
    equal(connection.execute("SELECT 1").fetchone(), (1,))


def transaction_and_savepoints():
    connection.execute("DELETE FROM things")
    with connection.transaction():
        connection.execute("INSERT INTO things (id, number) VALUES (gen_random_uuid(), 1)")
        try:
            with connection.transaction():
                connection.execute("INSERT INTO things (id, number) VALUES (gen_random_uuid(), 2)")
                connection.execute("SELECT 1/0")
        except psycopg.errors.DivisionByZero as error:
            show(str(error))
        connection.execute("INSERT INTO things (id, number) VALUES (gen_random_uuid(), 3)")
    equal(connection.execute("SELECT number FROM things ORDER BY 1").fetchall(), [(1,), (3,)])
    equal(connection.info.transaction_status.name, "IDLE")


def transaction_options():
    other = psycopg.connect()
    other.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
    other.read_only = True
    equal(other.execute("SELECT ssn FROM people WHERE id = 1").fetchone(), (SSN,))
    equal(other.execute("SHOW transaction_isolation").fetchone(), ("serializable",))
    other.rollback()
    other.close()


def server_side_cursor():
    with connection.transaction():
        with connection.cursor(name="people cursor") as cursor:
            cursor.itersize = 1
            cursor.execute("SELECT id, ssn FROM people ORDER BY id")
            equal([row[0] for row in map(show, cursor)], [1, 2])
        with connection.cursor(name="scroll", scrollable=True) as cursor:
            cursor.execute("SELECT generate_series(1, 1000)")
            equal(cursor.fetchmany(3), [(1,), (2,), (3,)])
            cursor.scroll(-2)
            equal(cursor.fetchone(), (2,))


def streaming():
    cursor = connection.cursor()
    equal(sum(row[0] for row in cursor.stream("SELECT generate_series(1, 1000)")), 500500)


def large_object():
    try:
        (oid,) = connection.execute("SELECT lo_from_bytea(0, %s)", [b"\x00\xff\x01"]).fetchone()
    except psycopg.errors.InsufficientPrivilege as error:
        assert MASKED, error
        show(str(error))
        return
    assert not MASKED
    equal(connection.execute("SELECT lo_get(%s)", [oid]).fetchone(), (b"\x00\xff\x01",))
    connection.execute("SELECT lo_unlink(%s)", [oid])


def connections_from_a_pool():
    with ConnectionPool(min_size=2, max_size=4, timeout=30) as pool:
        def ask(_):
            with pool.connection() as lent:
                return lent.execute("SELECT ssn FROM people WHERE id = %s", [1]).fetchone()[0]

        with ThreadPoolExecutor(8) as workers:
            equal(set(workers.map(ask, range(40))), {SSN})


def notifications():
    connection.execute("LISTEN news")
    with psycopg.connect(autocommit=True) as other:
        other.execute("SELECT pg_notify('news', 'hello')")
    note = next(connection.notifies(timeout=20, stop_after=1))
    equal((note.channel, note.payload), ("news", "hello"))
    connection.execute("UNLISTEN *")


def cancellation():
    threading.Timer(0.5, connection.cancel_safe).start()
    began = time.monotonic()
    try:
        connection.execute("SELECT pg_sleep(30)")
        raise AssertionError("not cancelled")
    except psycopg.errors.QueryCanceled as error:
        show(str(error))
    assert time.monotonic() - began < 20
    equal(connection.execute("SELECT 1").fetchone(), (1,))


def timeout():
    with connection.transaction():
        connection.execute("SET LOCAL statement_timeout = '100ms'")
        try:
            with connection.transaction():
                connection.execute("SELECT pg_sleep(30)")
            raise AssertionError("not cancelled")
        except psycopg.errors.QueryCanceled as error:
            show(str(error))
    equal(connection.execute("SHOW statement_timeout").fetchone(), ("0",))


def type_lookup():
    from psycopg.types import TypeInfo
    from psycopg.types.enum import EnumInfo

    equal(TypeInfo.fetch(connection, "hstore"), None)
    info = show(EnumInfo.fetch(connection, "mood"))
    equal(list(info.labels), ["sad", "happy"])


def errors_say_nothing():
    for text in (
        "SELECT ssn::int4 FROM people",
        "SELECT 1 / (length(ssn) - length(ssn)) FROM people",
        "SELECT ssn::regclass FROM people",
    ):
        try:
            show(connection.execute(text).fetchall())
            raise AssertionError("no error")
        except psycopg.Error as error:
            show((error.sqlstate, str(error), error.diag.message_detail, error.diag.context))


steps = [
    simple_query,
    empty_query,
    parametrised_query,
    prepared_after_some_executions,
    statements_are_forgotten,
    binary_results,
    dictionaries,
    pipeline,
    error_in_a_pipeline,
    executemany,
    round_trips,
    copy,
    binary_copy_in,
    failed_copies,
    transaction_and_savepoints,
    transaction_options,
    server_side_cursor,
    streaming,
    large_object,
    connections_from_a_pool,
    cancellation,
    timeout,
    type_lookup,
]
steps.append(errors_say_nothing if MASKED else notifications)
run(steps)
