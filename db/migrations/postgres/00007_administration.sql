-- +goose Up
-- Addresses are compared by their bytes, as SQLite does: so one index serves their order and their beginnings.
ALTER TABLE users ALTER COLUMN normalized_email TYPE text COLLATE "C";
-- The administrators, who are few.
CREATE INDEX users_admins ON users (id) WHERE role = 'ADMIN';

-- +goose Down
DROP INDEX users_admins;
ALTER TABLE users ALTER COLUMN normalized_email TYPE text;
