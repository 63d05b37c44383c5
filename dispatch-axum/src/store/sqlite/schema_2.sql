-- When a record was done with, and of what time a row is: what retention goes by. A row without a body is the place of
-- one that was removed.
ALTER TABLE records ADD COLUMN done INTEGER;
CREATE INDEX done_records ON records (done) WHERE done IS NOT NULL;

ALTER TABLE rows ADD COLUMN time INTEGER NOT NULL DEFAULT 0;
