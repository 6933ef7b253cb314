-- +goose Up
-- How much of each budget of attempts is used up: times and spans in microseconds, which both databases add alike.
CREATE TABLE throttles (
    bucket    TEXT    NOT NULL PRIMARY KEY,
    used_to   INTEGER NOT NULL, -- the theoretical arrival time of GCRA
    failures  INTEGER NOT NULL, -- in a row
    doublings INTEGER NOT NULL  -- of the pace, by failures
);

-- +goose Down
DROP TABLE throttles;
