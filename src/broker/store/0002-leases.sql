-- A row is written before the role is made and deleted after the role is gone, so that whatever
-- kills the broker in between leaves something for the reaper to find.
CREATE TABLE leases (
    target   TEXT NOT NULL,
    login    TEXT NOT NULL,
    session  TEXT NOT NULL,
    issuer   TEXT NOT NULL CHECK (issuer IN ('postgres-role', 'static')),
    -- minting: the role may or may not exist; live: handed out; stuck: something of it is left
    state    TEXT NOT NULL CHECK (state IN ('minting', 'live', 'stuck')),
    expires  TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    note     TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (session, target, login)
) STRICT;
