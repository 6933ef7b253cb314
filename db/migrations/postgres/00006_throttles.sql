-- +goose Up
-- How much of each budget of attempts is used up: times and spans in microseconds, which both databases add alike.
CREATE TABLE throttles (
    bucket    text   NOT NULL PRIMARY KEY,
    used_to   bigint NOT NULL, -- the theoretical arrival time of GCRA
    failures  bigint NOT NULL, -- in a row
    doublings bigint NOT NULL  -- of the pace, by failures
);

-- +goose Down
DROP TABLE throttles;
