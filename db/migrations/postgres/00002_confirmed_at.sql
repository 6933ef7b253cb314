-- +goose Up
-- When a client first showed that it has the confirmed generation.
ALTER TABLE sessions ADD COLUMN confirmed_at timestamptz;

-- +goose Down
ALTER TABLE sessions DROP COLUMN confirmed_at;
