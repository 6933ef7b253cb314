-- +goose Up
-- In the order in which they were written, so that whoever follows them knows where it was. The table is made anew: the
-- numbers that SQLite gives to all rows are not kept by VACUUM, and given again after the last row is deleted.
CREATE TABLE numbered_events (
    number      INTEGER     NOT NULL PRIMARY KEY AUTOINCREMENT,
    id          TEXT        NOT NULL UNIQUE,
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
INSERT INTO numbered_events (id, user_id, kind, session_id, actor_id, reason, ended_count, user_agent, ip, created_at)
SELECT id, user_id, kind, session_id, actor_id, reason, ended_count, user_agent, ip, created_at FROM events ORDER BY created_at, id;
DROP TABLE events;
ALTER TABLE numbered_events RENAME TO events;
CREATE INDEX events_user_id ON events (user_id, created_at, id);
CREATE INDEX events_created_at ON events (created_at);
-- Which sessions an event ended.
CREATE INDEX sessions_revocation_id ON sessions (revocation_id) WHERE revocation_id IS NOT NULL;

-- +goose Down
DROP INDEX sessions_revocation_id;
CREATE TABLE plain_events (
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
INSERT INTO plain_events SELECT id, user_id, kind, session_id, actor_id, reason, ended_count, user_agent, ip, created_at FROM events;
DROP TABLE events;
ALTER TABLE plain_events RENAME TO events;
CREATE INDEX events_user_id ON events (user_id, created_at, id);
CREATE INDEX events_created_at ON events (created_at);
