-- Every `_at` and every cursor is an instant in nanoseconds since 1970, UTC; the views show them as RFC 3339.
-- What is JSON is as boathook writes its own types; the columns beside it are for people.

-- `copy_of`: this file is a backup, made of the store of that engine.
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Up to where the event stream of an engine has been taken in.
CREATE TABLE engine (
    id TEXT PRIMARY KEY,
    cursor INTEGER NOT NULL,
    -- How many messages have been read in all.
    messages INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What tells the messages that were read last from all others; a ring, `slot` is message modulo size.
CREATE TABLE mark (
    engine TEXT NOT NULL REFERENCES engine (id),
    slot INTEGER NOT NULL,
    message INTEGER NOT NULL,
    mark INTEGER NOT NULL,
    PRIMARY KEY (engine, slot)
) STRICT, WITHOUT ROWID;

-- What is remembered of the containers that exist.
CREATE TABLE life (
    number INTEGER PRIMARY KEY,
    engine TEXT NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    life TEXT NOT NULL,
    UNIQUE (id, kind, engine)
) STRICT;

-- Hooks and clean-ups as they were declared; each once, however many runs it had.
CREATE TABLE recipe (
    number INTEGER PRIMARY KEY,
    content TEXT NOT NULL UNIQUE
) STRICT;

-- Events, each once for all the runs that answer it.
CREATE TABLE event (
    number INTEGER PRIMARY KEY,
    content TEXT NOT NULL
) STRICT;

-- One hook for one event. `number` is the order of planning.
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

CREATE INDEX run_open ON run (number) WHERE concluded_at IS NULL;
CREATE INDEX run_concluded ON run (concluded_at, number) WHERE concluded_at IS NOT NULL;
CREATE INDEX run_debt ON run (debt) WHERE debt IS NOT NULL;
CREATE INDEX run_event ON run (event);
CREATE INDEX run_recipe ON run (recipe);
CREATE INDEX run_subject ON run (subject_id);

-- One process of a run.
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

-- Calls of the API that a run made itself.
CREATE TABLE nested (
    number INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES run (number),
    called_at INTEGER NOT NULL,
    method TEXT NOT NULL,
    uri TEXT NOT NULL
) STRICT;

CREATE INDEX nested_run ON nested (run);

-- A clean-up that is owed, or was. `number` is the order of opening.
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

CREATE INDEX debt_open ON debt (number) WHERE state IN ('owed', 'due', 'given_up');
CREATE INDEX debt_closed ON debt (closed_at) WHERE state NOT IN ('owed', 'due', 'given_up');
CREATE INDEX debt_event ON debt (event);
CREATE INDEX debt_cleanup ON debt (cleanup);

-- What people asked for on the command line: retry_run, retry_debt, retry_failed, forgive.
CREATE TABLE wish (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    wish TEXT NOT NULL,
    run TEXT,
    wished_at INTEGER NOT NULL
) STRICT;

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
