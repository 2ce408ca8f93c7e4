-- requests, reviews, grants, standing decisions, and what is to be told to webhooks; times are
-- seconds since 1970. Every transition of a request counts its version up, so that two that read
-- the same version cannot both write.

CREATE TABLE requests (
    id        TEXT PRIMARY KEY,
    version   INTEGER NOT NULL,
    state     TEXT NOT NULL CHECK (state IN
              ('pending', 'approved', 'granted', 'released', 'denied', 'withdrawn', 'expired', 'void')),
    -- PROVIDER:SUBJECT, and all that was known of them when it was filed
    principal TEXT NOT NULL,
    who       TEXT NOT NULL,
    display   TEXT NOT NULL,
    device    TEXT NOT NULL,
    target    TEXT NOT NULL,
    -- for a deed, its session; for a session, the grant that it would become
    session   TEXT,
    grant_id  TEXT,
    subject   TEXT NOT NULL,
    threshold TEXT NOT NULL,
    people    INTEGER NOT NULL,
    standing  INTEGER NOT NULL,
    answer    TEXT,
    filed     INTEGER NOT NULL,
    expires   INTEGER NOT NULL,
    -- the requester's own idempotency key
    key       TEXT,
    CHECK ((session IS NULL) <> (grant_id IS NULL))
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX requests_by_key ON requests (principal, key) WHERE key IS NOT NULL;
CREATE INDEX requests_by_principal ON requests (principal, filed, id);
CREATE INDEX requests_open_by_expiry ON requests (expires) WHERE state IN ('pending', 'approved');
CREATE INDEX requests_open_by_principal ON requests (principal) WHERE state IN ('pending', 'approved');
CREATE INDEX requests_open_by_session ON requests (session) WHERE state IN ('pending', 'approved');
CREATE INDEX requests_open_by_device ON requests (device) WHERE state IN ('pending', 'approved');
CREATE INDEX requests_over ON requests (filed) WHERE state NOT IN ('pending', 'approved');

-- the inbox: a row for each group that may review a request, as long as it is pending
CREATE TABLE inbox (
    grp     TEXT NOT NULL,
    filed   INTEGER NOT NULL,
    request TEXT NOT NULL,
    PRIMARY KEY (grp, filed, request)
) STRICT, WITHOUT ROWID;

CREATE INDEX inbox_by_request ON inbox (request);

CREATE TABLE reviews (
    request  TEXT NOT NULL,
    place    INTEGER NOT NULL,
    person   TEXT NOT NULL,
    machine  INTEGER NOT NULL,
    display  TEXT NOT NULL,
    device   TEXT NOT NULL,
    groups   TEXT NOT NULL,
    decision TEXT NOT NULL CHECK (decision IN ('approve', 'deny')),
    reason   TEXT,
    standing TEXT,
    at       INTEGER NOT NULL,
    proof    TEXT NOT NULL,
    PRIMARY KEY (request, place)
) STRICT, WITHOUT ROWID;

CREATE INDEX reviews_by_device ON reviews (device);

CREATE TABLE grants (
    id        TEXT PRIMARY KEY,
    request   TEXT NOT NULL,
    principal TEXT NOT NULL,
    target    TEXT NOT NULL,
    reason    TEXT NOT NULL,
    starts    INTEGER NOT NULL,
    ends      INTEGER NOT NULL,
    once      INTEGER NOT NULL,
    -- issuing: its entry is not in the ledger yet, and nobody may use it
    state     TEXT NOT NULL CHECK (state IN ('issuing', 'active', 'used', 'revoked'))
) STRICT, WITHOUT ROWID;

CREATE INDEX grants_by_principal ON grants (principal, ends);
CREATE INDEX grants_by_end ON grants (ends);

CREATE TABLE standing (
    request   TEXT PRIMARY KEY,
    principal TEXT NOT NULL,
    target    TEXT NOT NULL,
    rules     TEXT NOT NULL,
    tree      TEXT NOT NULL,
    free      TEXT NOT NULL,
    ends      INTEGER NOT NULL,
    revoked   INTEGER NOT NULL DEFAULT 0,
    uses      INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE INDEX standing_by_tree ON standing (principal, target, tree);
CREATE INDEX standing_by_end ON standing (ends);

-- what webhooks are still to be told
CREATE TABLE outbox (
    id       TEXT PRIMARY KEY,
    hook     TEXT NOT NULL,
    body     TEXT NOT NULL,
    created  INTEGER NOT NULL,
    due      INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE INDEX outbox_by_due ON outbox (hook, due);
