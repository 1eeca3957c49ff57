CREATE TABLE step (
    rhythm VARCHAR NOT NULL,
    slot TIMESTAMPTZ NOT NULL,
    step VARCHAR NOT NULL,
    attempt INTEGER NOT NULL,
    state VARCHAR NOT NULL,
    started_at TIMESTAMPTZ NOT NULL,
    finished_at TIMESTAMPTZ,
    seconds DOUBLE,
    counts JSON,
    error VARCHAR,
    run_id VARCHAR NOT NULL,
    PRIMARY KEY (rhythm, slot, step, attempt)
);
COMMENT ON TABLE step IS 'What tick and nightly did, step by step; a rerun goes on at the first step that is not done.';
COMMENT ON COLUMN step.rhythm IS 'tick or nightly.';
COMMENT ON COLUMN step.slot IS 'The hour or the night that it was for.';
COMMENT ON COLUMN step.step IS 'Name of the step.';
COMMENT ON COLUMN step.attempt IS 'Counts the tries of this step in this slot, from 1.';
COMMENT ON COLUMN step.state IS 'started, done, partial (some sources failed), skipped or failed; started for ever if it was killed.';
COMMENT ON COLUMN step.started_at IS 'When it began.';
COMMENT ON COLUMN step.finished_at IS 'When it ended.';
COMMENT ON COLUMN step.seconds IS 'How long it took.';
COMMENT ON COLUMN step.counts IS 'What it did, by kind.';
COMMENT ON COLUMN step.error IS 'Why it failed or was skipped.';
COMMENT ON COLUMN step.run_id IS 'Run that did it.';
