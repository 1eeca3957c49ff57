CREATE TABLE drift (
    night TIMESTAMPTZ PRIMARY KEY,
    model_run VARCHAR NOT NULL,
    word VARCHAR NOT NULL,
    what VARCHAR NOT NULL,
    score DOUBLE,
    of_losses BOOLEAN NOT NULL,
    figures JSON NOT NULL,
    decided_at TIMESTAMPTZ NOT NULL,
    run_id VARCHAR NOT NULL
);
COMMENT ON TABLE drift IS 'Whether inputs or losses had moved away from what the model in use learnt on, night by night; never rewritten.';
COMMENT ON COLUMN drift.night IS 'The night that it was looked at, with what was known then.';
COMMENT ON COLUMN drift.model_run IS 'Run of the model in use that night.';
COMMENT ON COLUMN drift.word IS 'calm; alarm: an episode begins; silent: still, or again, over the threshold within a week of an alarm; unknown: too little to tell.';
COMMENT ON COLUMN drift.what IS 'What moved, from what to what; or why nothing can be told.';
COMMENT ON COLUMN drift.score IS 'The largest of all monitors in units of its threshold: 1 and more has moved.';
COMMENT ON COLUMN drift.of_losses IS 'Whether the losses of a forecast are over their threshold; their sum begins again after an alarm.';
COMMENT ON COLUMN drift.figures IS 'Each monitor of losses, and the largest of the inputs, in units of its threshold.';
COMMENT ON COLUMN drift.decided_at IS 'When it was looked at.';
COMMENT ON COLUMN drift.run_id IS 'Run that looked.';
