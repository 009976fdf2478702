-- One record, many views. `event` only ever grows, and is the truth: what was pushed, stored, charged, said. `job` and
-- `attempt` hold where a job stands now; every change of them is an event too, in the same transaction.
-- Moments are seconds since 1970. Columns that end in `_json` hold JSON text.

CREATE TABLE job (
  number INTEGER PRIMARY KEY,
  job_id TEXT NOT NULL UNIQUE,
  status TEXT NOT NULL,
  registered_at REAL NOT NULL,
  updated_at REAL NOT NULL,
  completed_at REAL,
  attempt INTEGER NOT NULL DEFAULT 0,
  metered_count INTEGER NOT NULL DEFAULT 0,
  charge_limit INTEGER,
  rerun_of TEXT,
  awaits_callback INTEGER NOT NULL DEFAULT 0,
  submit_key TEXT,
  submit_digest BLOB,
  errors_json TEXT,
  warnings_json TEXT,
  fault_json TEXT,
  settings_json TEXT,
  response_json TEXT,
  request_json TEXT NOT NULL
);
-- Lists are newest first, by whole seconds, as the protocol counts them.
CREATE INDEX job_by_age ON job (CAST(registered_at AS INTEGER), number);
CREATE INDEX job_waiting ON job (number) WHERE status = 'queued' AND awaits_callback = 0;
CREATE INDEX job_untold ON job (number) WHERE awaits_callback = 1;
CREATE UNIQUE INDEX job_submitted ON job (submit_key) WHERE submit_key IS NOT NULL;

CREATE TABLE attempt (
  id TEXT PRIMARY KEY,
  job INTEGER NOT NULL REFERENCES job (number),
  number INTEGER NOT NULL,
  token_digest BLOB NOT NULL,
  started_at REAL NOT NULL,
  deadline_at REAL NOT NULL,
  ended_at REAL,
  outcome TEXT,
  request_id TEXT
) WITHOUT ROWID;
CREATE UNIQUE INDEX attempt_of_job ON attempt (job, number);
CREATE INDEX attempt_open ON attempt (job) WHERE ended_at IS NULL;

CREATE TABLE event (
  seq INTEGER PRIMARY KEY,
  job INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  at REAL NOT NULL,
  kind TEXT NOT NULL,
  data TEXT NOT NULL
);
CREATE INDEX event_of_job ON event (job);
-- What a job has left behind, without its log.
CREATE INDEX event_effect ON event (job, kind) WHERE kind IN ('push', 'file', 'charge');

-- The answers that were given to calls with an idempotency key: the same call gets the same answer.
CREATE TABLE answer (
  job INTEGER NOT NULL,
  call TEXT NOT NULL,
  key TEXT NOT NULL,
  digest BLOB NOT NULL,
  answer TEXT NOT NULL,
  PRIMARY KEY (job, call, key)
) WITHOUT ROWID;

-- Files are in the folder `files`, under their id; their type and size are in the event.
CREATE TABLE file (
  id TEXT PRIMARY KEY,
  seq INTEGER NOT NULL,
  job INTEGER NOT NULL,
  name TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX file_of_job ON file (job, name, seq);

CREATE TABLE setting (
  name TEXT PRIMARY KEY,
  value_json TEXT NOT NULL,
  updated_at REAL NOT NULL
) WITHOUT ROWID;
