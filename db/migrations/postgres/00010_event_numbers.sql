-- +goose Up
-- In the order in which they were written, so that whoever follows them knows where it was.
ALTER TABLE events ADD COLUMN number bigserial;
CREATE UNIQUE INDEX events_number ON events (number);
-- Which sessions an event ended.
CREATE INDEX sessions_revocation_id ON sessions (revocation_id) WHERE revocation_id IS NOT NULL;

-- +goose Down
DROP INDEX sessions_revocation_id;
ALTER TABLE events DROP COLUMN number;
