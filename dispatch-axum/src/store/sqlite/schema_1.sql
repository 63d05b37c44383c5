-- Records with versions. `queue`, `lane` and `due` are set while there is something left to do about a record; `due` is
-- when its lease ends while it is `leased`. Times are microseconds since 1970.
CREATE TABLE records (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    version INTEGER NOT NULL,
    body TEXT NOT NULL,
    queue TEXT,
    lane TEXT,
    due INTEGER,
    leased INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX work_by_time ON records (queue, due) WHERE due IS NOT NULL;
CREATE INDEX work_by_lane ON records (queue, lane, due) WHERE due IS NOT NULL;
CREATE INDEX leases ON records (queue, lane, due) WHERE leased = 1;

-- What happened. Facts are only ever added.
CREATE TABLE facts (
    position INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    time INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;

CREATE TRIGGER facts_do_not_change BEFORE UPDATE ON facts
BEGIN
    SELECT RAISE(ABORT, 'facts are only ever added');
END;

-- Read models.
CREATE TABLE rows (
    id INTEGER PRIMARY KEY,
    view TEXT NOT NULL,
    "partition" TEXT NOT NULL,
    sort TEXT NOT NULL,
    revision INTEGER NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (view, "partition", sort)
) STRICT;

CREATE TABLE counters (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
