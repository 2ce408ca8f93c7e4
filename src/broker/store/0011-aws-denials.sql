-- Sessions whose tokens of AWS are to be denied when they end. A row is written before the tokens exist and deleted
-- once they have expired and the role's policy does not name them any more. `place` says as JSON, without a secret,
-- whose role it is and by whom it is changed.
CREATE TABLE aws_denials (
    session TEXT NOT NULL PRIMARY KEY,
    target  TEXT NOT NULL,
    role    TEXT NOT NULL,
    mark    TEXT NOT NULL,
    until   INTEGER NOT NULL,
    is_over INTEGER NOT NULL DEFAULT 0,
    place   TEXT NOT NULL
) STRICT;
