-- When a record was done with, and of what time a row is: what retention goes by. A row without a body is the place of
-- one that was removed.
ALTER TABLE records ADD COLUMN done INTEGER;
CREATE INDEX done_records ON records (done) WHERE done IS NOT NULL;

ALTER TABLE rows ADD COLUMN time INTEGER NOT NULL DEFAULT 0;
CREATE INDEX rows_by_time ON rows (time);
CREATE INDEX facts_by_time ON facts (time);

-- Work that waits, in the order of the keys: few records among many that are done with.
CREATE INDEX waiting_work ON records (queue, key) WHERE queue IS NOT NULL;
