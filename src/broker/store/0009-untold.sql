-- what was taken away and is not in the ledger yet, oldest first: who did it, and what it was, as JSON

CREATE TABLE untold (
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    actor TEXT,
    what  TEXT NOT NULL
) STRICT;
