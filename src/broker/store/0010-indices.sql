-- the requests of the last hour that count, and the revocations that are not in the ledger: neither is
-- looked for among everything else

CREATE INDEX requests_counted ON requests (principal, filed) WHERE session IS NULL OR answer IS NULL;
CREATE INDEX devices_untold ON devices (revoked) WHERE revoked IS NOT NULL AND NOT told;
