-- +goose Up
-- What is old is found by its age.
CREATE INDEX sessions_expires_at ON sessions (expires_at);
CREATE INDEX events_created_at ON events (created_at);
CREATE INDEX throttles_used_to ON throttles (used_to);

-- +goose Down
DROP INDEX throttles_used_to;
DROP INDEX events_created_at;
DROP INDEX sessions_expires_at;
