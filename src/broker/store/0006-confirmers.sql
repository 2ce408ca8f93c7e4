-- who let a key in, so that revoking one can reach those that it let in; and which revocations are in
-- the ledger: older ones are
ALTER TABLE devices ADD COLUMN confirmed_by TEXT;
ALTER TABLE devices ADD COLUMN told INTEGER NOT NULL DEFAULT 0;

UPDATE devices SET told = 1 WHERE revoked IS NOT NULL;

CREATE INDEX devices_confirmed ON devices (confirmed_by) WHERE confirmed_by IS NOT NULL;
