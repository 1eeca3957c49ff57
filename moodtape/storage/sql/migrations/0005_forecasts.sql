CREATE TABLE trial (
    trial_id VARCHAR PRIMARY KEY,
    config_hash VARCHAR NOT NULL,
    symbol VARCHAR NOT NULL,
    target VARCHAR NOT NULL,
    horizon_bars INTEGER NOT NULL,
    forecaster VARCHAR NOT NULL,
    test_from TIMESTAMPTZ NOT NULL,
    test_until TIMESTAMPTZ NOT NULL,
    verdict VARCHAR NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    run_id VARCHAR NOT NULL
);
COMMENT ON TABLE trial IS 'Every study whose test outcome was computed; nobody looks for free.';
COMMENT ON COLUMN trial.trial_id IS 'Hash of config, symbol, target, horizon, forecaster and test span.';
COMMENT ON COLUMN trial.config_hash IS 'Hash of the config without the seed.';
COMMENT ON COLUMN trial.symbol IS 'The asset.';
COMMENT ON COLUMN trial.target IS 'return, direction or volatility.';
COMMENT ON COLUMN trial.horizon_bars IS 'Bars ahead.';
COMMENT ON COLUMN trial.forecaster IS 'network or linear.';
COMMENT ON COLUMN trial.test_from IS 'First tested cut-off.';
COMMENT ON COLUMN trial.test_until IS 'Last tested cut-off.';
COMMENT ON COLUMN trial.verdict IS 'The word.';
COMMENT ON COLUMN trial.recorded_at IS 'When it was first computed.';
COMMENT ON COLUMN trial.run_id IS 'Run that computed it.';

CREATE TABLE forecast (
    symbol VARCHAR NOT NULL,
    "interval" VARCHAR NOT NULL,
    cutoff TIMESTAMPTZ NOT NULL,
    horizon_bars INTEGER NOT NULL,
    model_run VARCHAR NOT NULL,
    decision_time TIMESTAMPTZ NOT NULL,
    made_at TIMESTAMPTZ NOT NULL,
    late BOOLEAN NOT NULL,
    quantiles JSON,
    p_up DOUBLE,
    volatility DOUBLE,
    run_id VARCHAR NOT NULL,
    PRIMARY KEY (symbol, "interval", cutoff, horizon_bars, model_run)
);
COMMENT ON TABLE forecast IS 'Forecasts as they were issued; never rewritten.';
COMMENT ON COLUMN forecast.symbol IS 'The asset.';
COMMENT ON COLUMN forecast."interval" IS 'Length of a bar.';
COMMENT ON COLUMN forecast.cutoff IS 'Close of the last bar that was used.';
COMMENT ON COLUMN forecast.horizon_bars IS 'Bars ahead.';
COMMENT ON COLUMN forecast.model_run IS 'Run whose model made it.';
COMMENT ON COLUMN forecast.decision_time IS 'Rows known by then were used.';
COMMENT ON COLUMN forecast.made_at IS 'When it was made.';
COMMENT ON COLUMN forecast.late IS 'Made too long after its decision; outside live skill.';
COMMENT ON COLUMN forecast.quantiles IS 'Log return by probability level.';
COMMENT ON COLUMN forecast.p_up IS 'P(return > 0).';
COMMENT ON COLUMN forecast.volatility IS 'Forecast standard deviation of one bar''s log return.';
COMMENT ON COLUMN forecast.run_id IS 'Run that stored it.';
