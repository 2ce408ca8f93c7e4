"""What pgcli asks to complete names: its own queries, as it sends them when it starts."""

import os

from pgcli.pgexecute import PGExecute

asked = PGExecute(
    os.environ["PGDATABASE"],
    os.environ["PGUSER"],
    os.environ["PGPASSWORD"],
    os.environ["PGHOST"],
    os.environ["PGPORT"],
    "",
)


def say(name, found):
    print(name, [tuple(row) if isinstance(row, (tuple, list)) else repr(row) for row in found])


say("search_path", asked.search_path())
for ask in ("schemata", "tables", "views", "table_columns", "view_columns", "databases", "foreignkeys", "datatypes", "casing"):
    say(ask, getattr(asked, ask)())
for function in asked.functions():
    print("function", function.schema_name, function.func_name, function.arg_names, function.arg_types, function.return_type)
print(len(list(asked.full_databases())), asked.get_timezone())
print(asked.view_definition("shop.unpaid"))
print(asked.function_definition("shop.twice"))
print("done")
