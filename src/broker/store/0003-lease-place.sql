-- Where the role is and by whom it is dropped, as JSON, without a secret: a target that leaves the
-- configuration, or moves, leaves its leases behind. Empty in older rows, and where nothing is dropped.
ALTER TABLE leases ADD COLUMN place TEXT NOT NULL DEFAULT '';
