-- +goose Up
-- What happened to the accounts. It outlives the sessions that it names, so these are not foreign keys.
CREATE TABLE events (
    id          TEXT        NOT NULL PRIMARY KEY,
    user_id     TEXT        NOT NULL REFERENCES users (id),
    kind        TEXT        NOT NULL,
    session_id  TEXT,
    actor_id    TEXT,
    reason      TEXT,
    ended_count INTEGER,
    user_agent  TEXT,
    ip          TEXT,
    created_at  TIMESTAMP NOT NULL
);
CREATE INDEX events_user_id ON events (user_id, created_at, id);
INSERT INTO events (id, user_id, kind, session_id, reason, created_at)
SELECT session_events.id, user_id, 'SESSION_ENDED', session_id, kind, session_events.created_at
FROM session_events JOIN sessions ON sessions.id = session_id;
DROP TABLE session_events;

-- +goose Down
CREATE TABLE session_events (
    id         TEXT        NOT NULL PRIMARY KEY,
    session_id TEXT        NOT NULL REFERENCES sessions (id),
    kind       TEXT        NOT NULL,
    created_at TIMESTAMP NOT NULL
);
CREATE INDEX session_events_session_id ON session_events (session_id);
DROP TABLE events;
