-- +goose Up
CREATE TABLE users (
    id               uuid        NOT NULL PRIMARY KEY,
    email            text        NOT NULL,
    normalized_email text        NOT NULL UNIQUE,
    name             text,
    role             text        NOT NULL,
    password_hash    text        NOT NULL,
    created_at       timestamptz NOT NULL,
    disabled_at      timestamptz
);

-- One row is one session, however often it is refreshed; it guards all its tokens.
CREATE TABLE sessions (
    id                    uuid        NOT NULL PRIMARY KEY,
    user_id               uuid        NOT NULL REFERENCES users (id),
    device_name           text,
    user_agent            text,
    ip                    text,
    created_at            timestamptz NOT NULL,
    last_used_at          timestamptz NOT NULL,
    idle_expires_at       timestamptz NOT NULL,
    expires_at            timestamptz NOT NULL,
    revoked_at            timestamptz,
    revoke_reason         text,
    revocation_id         uuid,
    refresh_generation    bigint      NOT NULL,
    refresh_hash          bytea       NOT NULL,
    refresh_seed          bytea,
    refresh_key_id        text        NOT NULL,
    refreshed_at          timestamptz NOT NULL,
    confirmed_generation  bigint      NOT NULL,
    late_retry_generation bigint      NOT NULL,
    late_retry_streak     bigint      NOT NULL
);
CREATE INDEX sessions_user_id ON sessions (user_id);

CREATE TABLE session_events (
    id         uuid        NOT NULL PRIMARY KEY,
    session_id uuid        NOT NULL REFERENCES sessions (id),
    kind       text        NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX session_events_session_id ON session_events (session_id);

-- The key ring, sealed. The last number of a kind is the current key.
CREATE TABLE keys (
    kind       text        NOT NULL,
    number     bigint      NOT NULL,
    id         text        NOT NULL,
    sealed     bytea       NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (kind, number)
);

-- +goose Down
DROP TABLE keys;
DROP TABLE session_events;
DROP TABLE sessions;
DROP TABLE users;
