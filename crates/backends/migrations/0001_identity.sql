-- Identity: agents, accounts, what was granted, signing keys, revocations.
--
-- `record` is the whole record as JSON; the columns beside it are what queries ask for. Times are
-- Unix seconds. Secrets are never here, only their SHA-256 digests; `signing_keys.pkcs8` is as its
-- maker hands it over.

CREATE TABLE agents (
    id TEXT PRIMARY KEY,
    -- Whose quota a registered agent counts towards; NULL for all others.
    registered_by TEXT,
    expires INTEGER,
    record TEXT NOT NULL
) STRICT;
CREATE INDEX agents_registered ON agents (registered_by, expires) WHERE registered_by IS NOT NULL;

CREATE TABLE api_keys (
    digest BLOB PRIMARY KEY,
    agent TEXT NOT NULL,
    created INTEGER NOT NULL,
    label TEXT NOT NULL,
    record TEXT NOT NULL
) STRICT;
CREATE INDEX api_keys_agent ON api_keys (agent, created, label, digest);

CREATE TABLE users (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    record TEXT NOT NULL
) STRICT;

CREATE TABLE codes (
    digest BLOB PRIMARY KEY,
    grant_id TEXT NOT NULL,
    client TEXT NOT NULL,
    subject TEXT NOT NULL,
    expires INTEGER NOT NULL,
    -- When nothing about it matters any more: later for one that was used.
    forgotten INTEGER NOT NULL,
    -- NULL once it was used.
    record TEXT
) STRICT;
CREATE INDEX codes_grant ON codes (grant_id);
CREATE INDEX codes_client ON codes (client);
CREATE INDEX codes_subject ON codes (subject);
CREATE INDEX codes_forgotten ON codes (forgotten);

-- Refresh tokens that were not used yet.
CREATE TABLE refresh_tokens (
    digest BLOB PRIMARY KEY,
    grant_id TEXT NOT NULL,
    client TEXT NOT NULL,
    subject TEXT NOT NULL,
    expires INTEGER NOT NULL,
    ends INTEGER NOT NULL,
    record TEXT NOT NULL
) STRICT;
CREATE INDEX refresh_tokens_grant ON refresh_tokens (grant_id);
CREATE INDEX refresh_tokens_client ON refresh_tokens (client);
CREATE INDEX refresh_tokens_subject ON refresh_tokens (subject);
CREATE INDEX refresh_tokens_expires ON refresh_tokens (expires);

-- Refresh tokens that were used; the oldest have the smallest `id`.
CREATE TABLE used_tokens (
    id INTEGER PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,
    grant_id TEXT NOT NULL,
    ends INTEGER NOT NULL
) STRICT;
CREATE INDEX used_tokens_grant ON used_tokens (grant_id, id);
CREATE INDEX used_tokens_ends ON used_tokens (ends);

CREATE TABLE ended_grants (
    grant_id TEXT PRIMARY KEY,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX ended_grants_until ON ended_grants (until);

CREATE TABLE used_ids (
    id BLOB PRIMARY KEY,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX used_ids_until ON used_ids (until);

CREATE TABLE consents (
    subject TEXT NOT NULL,
    client TEXT NOT NULL,
    redirect TEXT NOT NULL,
    resource TEXT NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (subject, client, redirect, resource)
) STRICT;

-- The newest has the largest `id`.
CREATE TABLE signing_keys (
    id INTEGER PRIMARY KEY,
    kid TEXT NOT NULL UNIQUE,
    algorithm TEXT NOT NULL,
    pkcs8 BLOB NOT NULL,
    created INTEGER NOT NULL,
    activates INTEGER NOT NULL,
    retires INTEGER
) STRICT;

CREATE TABLE revocations (
    what TEXT PRIMARY KEY,
    until INTEGER NOT NULL,
    record TEXT NOT NULL
) STRICT;
CREATE INDEX revocations_until ON revocations (until);

-- How many rows the tables have that grow with use: counting them each time would read them whole.
CREATE TABLE held (
    what TEXT PRIMARY KEY,
    count INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO held VALUES
    ('codes', 0), ('refresh_tokens', 0), ('used_tokens', 0), ('ended_grants', 0), ('used_ids', 0),
    ('consents', 0), ('revocations', 0);

CREATE TRIGGER codes_more AFTER INSERT ON codes BEGIN
    UPDATE held SET count = count + 1 WHERE what = 'codes';
END;
CREATE TRIGGER codes_less AFTER DELETE ON codes BEGIN
    UPDATE held SET count = count - 1 WHERE what = 'codes';
END;
CREATE TRIGGER refresh_tokens_more AFTER INSERT ON refresh_tokens BEGIN
    UPDATE held SET count = count + 1 WHERE what = 'refresh_tokens';
END;
CREATE TRIGGER refresh_tokens_less AFTER DELETE ON refresh_tokens BEGIN
    UPDATE held SET count = count - 1 WHERE what = 'refresh_tokens';
END;
CREATE TRIGGER used_tokens_more AFTER INSERT ON used_tokens BEGIN
    UPDATE held SET count = count + 1 WHERE what = 'used_tokens';
END;
CREATE TRIGGER used_tokens_less AFTER DELETE ON used_tokens BEGIN
    UPDATE held SET count = count - 1 WHERE what = 'used_tokens';
END;
CREATE TRIGGER ended_grants_more AFTER INSERT ON ended_grants BEGIN
    UPDATE held SET count = count + 1 WHERE what = 'ended_grants';
END;
CREATE TRIGGER ended_grants_less AFTER DELETE ON ended_grants BEGIN
    UPDATE held SET count = count - 1 WHERE what = 'ended_grants';
END;
CREATE TRIGGER used_ids_more AFTER INSERT ON used_ids BEGIN
    UPDATE held SET count = count + 1 WHERE what = 'used_ids';
END;
CREATE TRIGGER used_ids_less AFTER DELETE ON used_ids BEGIN
    UPDATE held SET count = count - 1 WHERE what = 'used_ids';
END;
CREATE TRIGGER consents_more AFTER INSERT ON consents BEGIN
    UPDATE held SET count = count + 1 WHERE what = 'consents';
END;
CREATE TRIGGER consents_less AFTER DELETE ON consents BEGIN
    UPDATE held SET count = count - 1 WHERE what = 'consents';
END;
CREATE TRIGGER revocations_more AFTER INSERT ON revocations BEGIN
    UPDATE held SET count = count + 1 WHERE what = 'revocations';
END;
CREATE TRIGGER revocations_less AFTER DELETE ON revocations BEGIN
    UPDATE held SET count = count - 1 WHERE what = 'revocations';
END;
