-- When a record was done with, and when a row was written: what retention goes by. A row without a body is the place of
-- one that was removed.
ALTER TABLE records ADD COLUMN done INTEGER;
CREATE INDEX done_records ON records (done) WHERE done IS NOT NULL;

ALTER TABLE rows ADD COLUMN time INTEGER NOT NULL DEFAULT 0;
CREATE INDEX rows_by_time ON rows (time);
CREATE INDEX facts_by_time ON facts (time);

-- What is there already was done with now, as far as anybody can tell.
UPDATE records SET done = CAST(unixepoch('subsec') * 1000000 AS INTEGER) WHERE queue IS NULL;
UPDATE rows SET time = CAST(unixepoch('subsec') * 1000000 AS INTEGER);
