-- devices, logins, access tokens, spent subject tokens, sessions; times are seconds since 1970

-- one key may belong to several people who share a machine; each enrols it for themselves
CREATE TABLE devices (
    id       TEXT NOT NULL,
    provider TEXT NOT NULL,
    subject  TEXT NOT NULL,
    host     TEXT NOT NULL,
    machine  INTEGER NOT NULL,
    enrolled INTEGER NOT NULL,
    revoked  INTEGER,
    PRIMARY KEY (id, provider, subject)
) STRICT, WITHOUT ROWID;

CREATE TABLE logins (
    device      TEXT PRIMARY KEY,
    principal   TEXT NOT NULL,
    host        TEXT NOT NULL,
    exchanged   INTEGER NOT NULL,
    idle        INTEGER NOT NULL,
    session_cap INTEGER
) STRICT, WITHOUT ROWID;

-- access tokens: only their SHA-256
CREATE TABLE tokens (
    digest  BLOB PRIMARY KEY,
    device  TEXT NOT NULL,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- subject tokens that were exchanged: only their SHA-256, until they expire
CREATE TABLE spent (
    digest  BLOB PRIMARY KEY,
    device  TEXT NOT NULL,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
    id     TEXT PRIMARY KEY,
    body   TEXT NOT NULL,
    opened INTEGER NOT NULL,
    closed INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_by_age ON sessions (opened);
CREATE INDEX sessions_open ON sessions (id) WHERE closed IS NULL;
