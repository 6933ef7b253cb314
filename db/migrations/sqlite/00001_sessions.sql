-- +goose Up
CREATE TABLE users (
    id               TEXT      NOT NULL PRIMARY KEY,
    email            TEXT      NOT NULL,
    normalized_email TEXT      NOT NULL UNIQUE,
    name             TEXT,
    role             TEXT      NOT NULL,
    password_hash    TEXT      NOT NULL,
    created_at       TIMESTAMP NOT NULL,
    disabled_at      TIMESTAMP
);

-- One row is one session, however often it is refreshed; it guards all its tokens.
CREATE TABLE sessions (
    id                    TEXT      NOT NULL PRIMARY KEY,
    user_id               TEXT      NOT NULL REFERENCES users (id),
    device_name           TEXT,
    user_agent            TEXT,
    ip                    TEXT,
    created_at            TIMESTAMP NOT NULL,
    last_used_at          TIMESTAMP NOT NULL,
    idle_expires_at       TIMESTAMP NOT NULL,
    expires_at            TIMESTAMP NOT NULL,
    revoked_at            TIMESTAMP,
    revoke_reason         TEXT,
    revocation_id         TEXT,
    refresh_generation    INTEGER   NOT NULL,
    refresh_hash          BLOB      NOT NULL,
    refresh_seed          BLOB,
    refresh_key_id        TEXT      NOT NULL,
    refreshed_at          TIMESTAMP NOT NULL,
    confirmed_generation  INTEGER   NOT NULL,
    late_retry_generation INTEGER   NOT NULL,
    late_retry_streak     INTEGER   NOT NULL
);
CREATE INDEX sessions_user_id ON sessions (user_id);

CREATE TABLE session_events (
    id         TEXT      NOT NULL PRIMARY KEY,
    session_id TEXT      NOT NULL REFERENCES sessions (id),
    kind       TEXT      NOT NULL,
    created_at TIMESTAMP NOT NULL
);
CREATE INDEX session_events_session_id ON session_events (session_id);

-- The key ring, sealed. The last number of a kind is the current key.
CREATE TABLE keys (
    kind       TEXT      NOT NULL,
    number     INTEGER   NOT NULL,
    id         TEXT      NOT NULL,
    sealed     BLOB      NOT NULL,
    created_at TIMESTAMP NOT NULL,
    PRIMARY KEY (kind, number)
);

-- +goose Down
DROP TABLE keys;
DROP TABLE session_events;
DROP TABLE sessions;
DROP TABLE users;
