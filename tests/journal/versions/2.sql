PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE engine (
    id TEXT PRIMARY KEY,
    cursor INTEGER NOT NULL,
    -- How many messages have been read in all.
    messages INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO engine VALUES('the-engine',8000000000,2);
CREATE TABLE mark (
    engine TEXT NOT NULL REFERENCES engine (id),
    slot INTEGER NOT NULL,
    message INTEGER NOT NULL,
    mark INTEGER NOT NULL,
    PRIMARY KEY (engine, slot)
) STRICT, WITHOUT ROWID;
INSERT INTO mark VALUES('the-engine',0,0,-1);
INSERT INTO mark VALUES('the-engine',1,1,2);
CREATE TABLE life (
    number INTEGER PRIMARY KEY,
    engine TEXT NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    life TEXT NOT NULL,
    UNIQUE (id, kind, engine)
) STRICT;
INSERT INTO life VALUES(1,'the-engine','container','web','{"facts":{"id":null,"name":"web","image":null,"image_id":null,"labels":null,"networks":null,"mounts":null,"privileged":null,"user":null,"hostname":null,"auto_remove":null,"stop_signal":null,"pid":null,"netns":null,"created_at":null},"stage":"Created","creation_told":true,"passage":0,"start":null,"exit":null,"reason":null,"killed":false,"out_of_memory":false,"nested":false,"bereft":false,"attached":{},"start_awaited":false,"end_awaited":false,"name_awaited":null}');
CREATE TABLE recipe (
    number INTEGER PRIMARY KEY,
    content TEXT NOT NULL UNIQUE
) STRICT;
INSERT INTO recipe VALUES(1,'{"name":"hook","at":["post_start"],"action":{"deny":{"message":"as declared"}},"deadline":{"limit":{"secs":30,"nanos":0},"grace":{"secs":5,"nanos":0}},"on_failure":"ignore","mode":"enforce","cleanup":null,"group":null,"debounce":null,"retry":null,"nested":false}');
INSERT INTO recipe VALUES(2,'{"at":["post_stop"],"action":{"deny":{"message":"as declared"}},"deadline":{"limit":{"secs":30,"nanos":0},"grace":{"secs":5,"nanos":0}},"retry":{"max_attempts":20,"delay":{"secs":1,"nanos":0},"max_delay":{"secs":300,"nanos":0}}}');
CREATE TABLE event (
    number INTEGER PRIMARY KEY,
    content TEXT NOT NULL
) STRICT;
INSERT INTO event VALUES(1,'{"point":"post_start","subject":{"engine":"the-engine","kind":"container","id":"over"},"passage":1,"at":"2023-11-14T22:13:20Z","cause":"engine","reason":null,"exit":null,"facts":{"id":null,"name":"over","image":null,"image_id":null,"labels":null,"networks":null,"mounts":null,"privileged":null,"user":null,"hostname":null,"auto_remove":null,"stop_signal":null,"pid":null,"netns":null,"created_at":null},"detail":null,"request":null,"nested":false}');
INSERT INTO event VALUES(2,'{"point":"post_start","subject":{"engine":"the-engine","kind":"container","id":"waiting"},"passage":1,"at":"2023-11-14T22:13:20Z","cause":"engine","reason":null,"exit":null,"facts":{"id":null,"name":"waiting","image":null,"image_id":null,"labels":null,"networks":null,"mounts":null,"privileged":null,"user":null,"hostname":null,"auto_remove":null,"stop_signal":null,"pid":null,"netns":null,"created_at":null},"detail":null,"request":null,"nested":false}');
INSERT INTO event VALUES(3,'{"point":"post_start","subject":{"engine":"the-engine","kind":"container","id":"owing"},"passage":1,"at":"2023-11-14T22:13:20Z","cause":"engine","reason":null,"exit":null,"facts":{"id":null,"name":"owing","image":null,"image_id":null,"labels":null,"networks":null,"mounts":null,"privileged":null,"user":null,"hostname":null,"auto_remove":null,"stop_signal":null,"pid":null,"netns":null,"created_at":null},"detail":null,"request":null,"nested":false}');
CREATE TABLE run (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    hook TEXT NOT NULL,
    point TEXT NOT NULL,
    phase TEXT NOT NULL,
    engine TEXT NOT NULL,
    subject_kind TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    subject_name TEXT,
    passage INTEGER NOT NULL,
    cause TEXT NOT NULL,
    -- The debt that it pays.
    debt TEXT,
    -- planned, running, attempted, waiting, concluded
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    -- Of the last attempt: exited, signaled, timed_out, not_started, answered, unreachable, interrupted.
    outcome TEXT,
    exit_code INTEGER,
    planned_at INTEGER NOT NULL,
    -- Of the last attempt.
    started_at INTEGER,
    ended_at INTEGER,
    -- When the next attempt is due.
    due_at INTEGER,
    concluded_at INTEGER,
    -- done, failed, denied, skipped, superseded, interrupted
    conclusion TEXT,
    overtook INTEGER NOT NULL,
    recipe INTEGER NOT NULL REFERENCES recipe (number),
    event INTEGER NOT NULL REFERENCES event (number),
    -- All the events that it answers, where that may be several.
    batch TEXT
) STRICT;
INSERT INTO run VALUES(1,'065wzsb800000000','hook','post_start','setup','the-engine','container','over','over',1,'engine',NULL,'concluded',1,'exited',0,1700000000000000000,1795377537036431760,1795377537036433901,NULL,1795377537036434084,'done',0,1,1,NULL);
INSERT INTO run VALUES(2,'065wzsb800000001','hook','post_start','setup','the-engine','container','waiting','waiting',1,'engine',NULL,'waiting',1,'signaled',NULL,1700000000000000000,1795377537036537271,1795377537036543759,1700000060000000000,NULL,NULL,0,1,2,NULL);
INSERT INTO run VALUES(3,'065wzsb800000002','hook','post_start','setup','the-engine','container','owing','owing',1,'engine',NULL,'running',1,NULL,NULL,1700000000000000000,1795377537036552086,NULL,NULL,NULL,NULL,1,1,3,NULL);
CREATE TABLE attempt (
    run INTEGER NOT NULL REFERENCES run (number),
    attempt INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at INTEGER,
    outcome TEXT,
    exit_code INTEGER,
    signal INTEGER,
    -- Why there was never a process, or no whole answer; the HTTP status of an answer.
    reason TEXT,
    -- What it wrote, bounded, and how many bytes that was in all.
    stdout TEXT NOT NULL,
    stdout_bytes INTEGER NOT NULL,
    stderr TEXT NOT NULL,
    stderr_bytes INTEGER NOT NULL,
    PRIMARY KEY (run, attempt)
) STRICT, WITHOUT ROWID;
INSERT INTO attempt VALUES(1,1,1795377537036431760,1795377537036433901,'exited',0,NULL,NULL,'out',3,'err',3);
INSERT INTO attempt VALUES(2,1,1795377537036537271,1795377537036543759,'signaled',NULL,9,NULL,'out',3,'err',3);
INSERT INTO attempt VALUES(3,1,1795377537036552086,NULL,NULL,NULL,NULL,NULL,'',0,'',0);
CREATE TABLE nested (
    number INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES run (number),
    called_at INTEGER NOT NULL,
    method TEXT NOT NULL,
    uri TEXT NOT NULL
) STRICT;
INSERT INTO nested VALUES(1,1,1000000000,'GET','/info');
CREATE TABLE debt (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    hook TEXT NOT NULL,
    engine TEXT NOT NULL,
    subject_kind TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    subject_name TEXT,
    object TEXT,
    passage INTEGER NOT NULL,
    -- owed, due, paid, given_up, forgiven, merged
    state TEXT NOT NULL,
    -- The clean-up of what is due or given up; the debt that one was merged into.
    run TEXT,
    opened_at INTEGER NOT NULL,
    closed_at INTEGER,
    cleanup INTEGER NOT NULL REFERENCES recipe (number),
    event INTEGER NOT NULL REFERENCES event (number),
    setups TEXT NOT NULL
) STRICT;
INSERT INTO debt VALUES(1,'065wzsb800000002','hook','the-engine','container','owing','owing',NULL,1,'owed',NULL,1700000000000000000,NULL,2,3,'[{"run":"065wzsb800000002","outcome":null,"stdout":"","state":null}]');
CREATE TABLE wish (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    wish TEXT NOT NULL,
    run TEXT,
    wished_at INTEGER NOT NULL
) STRICT;
CREATE TABLE holding (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    content TEXT NOT NULL,
    PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;
INSERT INTO holding VALUES('address','pool/10.0.0.2','"web"');
DELETE FROM sqlite_sequence;
CREATE INDEX run_open ON run (number) WHERE concluded_at IS NULL;
CREATE INDEX run_concluded ON run (concluded_at, number) WHERE concluded_at IS NOT NULL;
CREATE INDEX run_debt ON run (debt) WHERE debt IS NOT NULL;
CREATE INDEX run_event ON run (event);
CREATE INDEX run_recipe ON run (recipe);
CREATE INDEX run_subject ON run (subject_id);
CREATE INDEX nested_run ON nested (run);
CREATE INDEX debt_open ON debt (number) WHERE state IN ('owed', 'due', 'given_up');
CREATE INDEX debt_closed ON debt (closed_at) WHERE state NOT IN ('owed', 'due', 'given_up');
CREATE INDEX debt_event ON debt (event);
CREATE INDEX debt_cleanup ON debt (cleanup);
CREATE VIEW runs AS
SELECT id, hook, point, phase, engine, subject_kind, subject_id, subject_name, passage, cause, debt, state,
    attempts, outcome, exit_code, conclusion, overtook,
    strftime('%Y-%m-%dT%H:%M:%S', planned_at / 1000000000, 'unixepoch')
        || printf('.%09dZ', planned_at % 1000000000) AS planned_at,
    strftime('%Y-%m-%dT%H:%M:%S', started_at / 1000000000, 'unixepoch')
        || printf('.%09dZ', started_at % 1000000000) AS started_at,
    strftime('%Y-%m-%dT%H:%M:%S', ended_at / 1000000000, 'unixepoch')
        || printf('.%09dZ', ended_at % 1000000000) AS ended_at,
    strftime('%Y-%m-%dT%H:%M:%S', due_at / 1000000000, 'unixepoch')
        || printf('.%09dZ', due_at % 1000000000) AS due_at,
    strftime('%Y-%m-%dT%H:%M:%S', concluded_at / 1000000000, 'unixepoch')
        || printf('.%09dZ', concluded_at % 1000000000) AS concluded_at
FROM run ORDER BY number;
CREATE VIEW attempts AS
SELECT run.id AS run, run.hook, attempt.attempt, attempt.outcome, attempt.exit_code, attempt.signal,
    attempt.reason, attempt.stdout, attempt.stdout_bytes, attempt.stderr, attempt.stderr_bytes,
    strftime('%Y-%m-%dT%H:%M:%S', attempt.started_at / 1000000000, 'unixepoch')
        || printf('.%09dZ', attempt.started_at % 1000000000) AS started_at,
    strftime('%Y-%m-%dT%H:%M:%S', attempt.ended_at / 1000000000, 'unixepoch')
        || printf('.%09dZ', attempt.ended_at % 1000000000) AS ended_at
FROM attempt JOIN run ON run.number = attempt.run ORDER BY attempt.run, attempt.attempt;
CREATE VIEW debts AS
SELECT id, hook, engine, subject_kind, subject_id, subject_name, object, passage, state, run,
    strftime('%Y-%m-%dT%H:%M:%S', opened_at / 1000000000, 'unixepoch')
        || printf('.%09dZ', opened_at % 1000000000) AS opened_at,
    strftime('%Y-%m-%dT%H:%M:%S', closed_at / 1000000000, 'unixepoch')
        || printf('.%09dZ', closed_at % 1000000000) AS closed_at
FROM debt ORDER BY number;
COMMIT;
