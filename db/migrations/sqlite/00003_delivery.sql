-- +goose Up
-- How the session's tokens reach its client. The default is that of a server older than this column.
ALTER TABLE sessions ADD COLUMN delivery text NOT NULL DEFAULT 'BODY';

-- +goose Down
ALTER TABLE sessions DROP COLUMN delivery;
