ALTER TABLE forecast ADD COLUMN venue VARCHAR;
ALTER TABLE forecast ADD COLUMN quote VARCHAR;
ALTER TABLE forecast ADD COLUMN mean DOUBLE;
COMMENT ON COLUMN forecast.venue IS 'Exchange or index whose bars it was made from and is settled on; null before it was kept.';
COMMENT ON COLUMN forecast.quote IS 'Currency of those prices; null before it was kept.';
COMMENT ON COLUMN forecast.mean IS 'Expected log return over the horizon.';

CREATE TABLE settlement (
    symbol VARCHAR NOT NULL,
    "interval" VARCHAR NOT NULL,
    cutoff TIMESTAMPTZ NOT NULL,
    horizon_bars INTEGER NOT NULL,
    model_run VARCHAR NOT NULL,
    due_at TIMESTAMPTZ NOT NULL,
    state VARCHAR NOT NULL,
    log_return DOUBLE,
    volatility DOUBLE,
    trailing_variance DOUBLE,
    volatility_before DOUBLE,
    settled_at TIMESTAMPTZ NOT NULL,
    run_id VARCHAR NOT NULL,
    PRIMARY KEY (symbol, "interval", cutoff, horizon_bars, model_run)
);
COMMENT ON TABLE settlement IS 'What came of each forecast, told by the first versions of its bars; never rewritten.';
COMMENT ON COLUMN settlement.symbol IS 'The asset.';
COMMENT ON COLUMN settlement."interval" IS 'Length of a bar.';
COMMENT ON COLUMN settlement.cutoff IS 'Close of the last bar that the forecast used.';
COMMENT ON COLUMN settlement.horizon_bars IS 'Bars ahead.';
COMMENT ON COLUMN settlement.model_run IS 'Run whose model made the forecast.';
COMMENT ON COLUMN settlement.due_at IS 'Close of the last bar of the horizon.';
COMMENT ON COLUMN settlement.state IS 'settled; or void: a bar that it needs never came.';
COMMENT ON COLUMN settlement.log_return IS 'Log return from the cutoff to due_at.';
COMMENT ON COLUMN settlement.volatility IS 'Standard deviation of one bar''s log return over the horizon, from ranges (Garman-Klass).';
COMMENT ON COLUMN settlement.trailing_variance IS 'Variance of one bar''s log return in the week before the cutoff; the scale of the return''s loss.';
COMMENT ON COLUMN settlement.volatility_before IS 'What persistence says: the volatility of the bars before the cutoff.';
COMMENT ON COLUMN settlement.settled_at IS 'When it was settled.';
COMMENT ON COLUMN settlement.run_id IS 'Run that settled it.';
