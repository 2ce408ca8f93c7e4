-- extensions of grants that were approved and are not in the ledger yet: none of them is in force

CREATE TABLE extensions (
    request  TEXT PRIMARY KEY,
    grant_id TEXT NOT NULL,
    -- until when the grant is to last
    ends     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX extensions_by_grant ON extensions (grant_id, ends);
