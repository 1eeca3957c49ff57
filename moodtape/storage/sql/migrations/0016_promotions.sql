CREATE TABLE promotion (
    challenger VARCHAR PRIMARY KEY,
    champion VARCHAR NOT NULL,
    word VARCHAR NOT NULL,
    why VARCHAR NOT NULL,
    figures JSON,
    model_run VARCHAR,
    decided_at TIMESTAMPTZ NOT NULL,
    run_id VARCHAR NOT NULL
);
COMMENT ON TABLE promotion IS 'Whether a new model may follow the one in use, and why.';
COMMENT ON COLUMN promotion.challenger IS 'Run of the model that was compared; a name of its own where none was trained.';
COMMENT ON COLUMN promotion.champion IS 'Run of the model in use.';
COMMENT ON COLUMN promotion.word IS 'promoted, or kept: the model in use stays.';
COMMENT ON COLUMN promotion.why IS 'The reason in a sentence.';
COMMENT ON COLUMN promotion.figures IS 'By target: relative increase of loss with its upper bound, forecasts and blocks.';
COMMENT ON COLUMN promotion.model_run IS 'Run of the refitted model that is in use since; null where none is.';
COMMENT ON COLUMN promotion.decided_at IS 'When it was decided.';
COMMENT ON COLUMN promotion.run_id IS 'Run that decided it.';
