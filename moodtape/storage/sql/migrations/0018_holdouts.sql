CREATE TABLE holdout (
    symbol VARCHAR NOT NULL,
    "interval" VARCHAR NOT NULL,
    held_from TIMESTAMPTZ NOT NULL,
    held_until TIMESTAMPTZ NOT NULL,
    config_hash VARCHAR NOT NULL,
    opened_at TIMESTAMPTZ NOT NULL,
    run_id VARCHAR NOT NULL,
    PRIMARY KEY (symbol, "interval", held_from, held_until, run_id)
);
COMMENT ON TABLE holdout IS 'Every hold-out that was opened; a second look at that time proves little.';
COMMENT ON COLUMN holdout.symbol IS 'The asset.';
COMMENT ON COLUMN holdout."interval" IS 'Length of a bar.';
COMMENT ON COLUMN holdout.held_from IS 'First decision time that was held out.';
COMMENT ON COLUMN holdout.held_until IS 'End of the decision times that were held out.';
COMMENT ON COLUMN holdout.config_hash IS 'Hash of subject and config of the study that opened it.';
COMMENT ON COLUMN holdout.opened_at IS 'When it was opened.';
COMMENT ON COLUMN holdout.run_id IS 'Run that opened it.';
