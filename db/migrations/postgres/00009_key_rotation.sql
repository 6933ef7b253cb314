-- +goose Up
-- From when new tokens are made with a key: where it is NULL, from when it was made. And since when no token of it is
-- taken; a revoked key stays, without what was sealed, so that their number only grows.
ALTER TABLE keys ADD COLUMN active_at timestamptz;
ALTER TABLE keys ADD COLUMN revoked_at timestamptz;

-- +goose Down
ALTER TABLE keys DROP COLUMN revoked_at;
ALTER TABLE keys DROP COLUMN active_at;
