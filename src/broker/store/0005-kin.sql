-- the e-mail address that each person signed in with last, so that their second account and their
-- machines are known to be theirs

CREATE TABLE emails (
    -- PROVIDER:SUBJECT
    principal TEXT PRIMARY KEY,
    email     TEXT NOT NULL
) STRICT, WITHOUT ROWID;

INSERT OR IGNORE INTO emails (principal, email)
SELECT json_extract(principal, '$.id.provider') || ':' || json_extract(principal, '$.id.subject'),
       json_extract(principal, '$.kin.email')
FROM logins
WHERE json_extract(principal, '$.kind') = 'human' AND json_extract(principal, '$.kin.email') IS NOT NULL;
