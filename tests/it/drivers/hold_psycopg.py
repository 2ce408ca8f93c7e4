"""psycopg: a statement that is held, and then approved: the notice comes before the answer."""

import psycopg

with psycopg.connect() as connection:
    notices = []
    connection.add_notice_handler(lambda notice: notices.append((notice.sqlstate, notice.message_primary)))
    deleted = connection.execute("DELETE FROM people WHERE id = %s", (1,)).rowcount
    print(deleted, notices)
