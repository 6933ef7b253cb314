-- +goose Up
-- How often the password was changed, and which one let a session in: one that begins while the password is
-- being changed is dead. NULL in a session of a server older than this column, which is not asked.
ALTER TABLE users ADD COLUMN password_generation INTEGER NOT NULL DEFAULT 1;
ALTER TABLE sessions ADD COLUMN password_generation INTEGER;

-- +goose Down
ALTER TABLE sessions DROP COLUMN password_generation;
ALTER TABLE users DROP COLUMN password_generation;
