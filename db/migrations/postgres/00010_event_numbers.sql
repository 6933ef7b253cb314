-- +goose Up
-- In the order in which they were written, so that whoever follows them knows where it was.
ALTER TABLE events ADD COLUMN number bigserial;
CREATE UNIQUE INDEX events_number ON events (number);

-- +goose Down
ALTER TABLE events DROP COLUMN number;
