-- why somebody is in no group where configuration names some, to be said when they ask
ALTER TABLE logins ADD COLUMN groupless TEXT;
