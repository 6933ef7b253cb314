-- +goose Up
-- The administrators, who are few.
CREATE INDEX users_admins ON users (id) WHERE role = 'ADMIN';

-- +goose Down
DROP INDEX users_admins;
