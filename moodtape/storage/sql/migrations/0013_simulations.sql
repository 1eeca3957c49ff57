CREATE TABLE simulation (
    simulation_id VARCHAR PRIMARY KEY,
    settings_hash VARCHAR NOT NULL,
    study VARCHAR NOT NULL,
    forecaster VARCHAR NOT NULL,
    model VARCHAR NOT NULL,
    symbol VARCHAR NOT NULL,
    target VARCHAR NOT NULL,
    horizon_bars INTEGER NOT NULL,
    span_from TIMESTAMPTZ NOT NULL,
    span_until TIMESTAMPTZ NOT NULL,
    daily_sharpe DOUBLE,
    recorded_at TIMESTAMPTZ NOT NULL,
    run_id VARCHAR NOT NULL
);
COMMENT ON TABLE simulation IS 'Every strategy whose profit was looked at; the best of many tries is lucky.';
COMMENT ON COLUMN simulation.simulation_id IS 'Hash of settings, study, forecaster, model, symbol, target and horizon.';
COMMENT ON COLUMN simulation.settings_hash IS 'Hash of the settings of the simulation.';
COMMENT ON COLUMN simulation.study IS 'Run whose test forecasts were traded.';
COMMENT ON COLUMN simulation.forecaster IS 'What made the forecasts.';
COMMENT ON COLUMN simulation.model IS 'Arm or baseline that was traded.';
COMMENT ON COLUMN simulation.symbol IS 'The asset.';
COMMENT ON COLUMN simulation.target IS 'return or direction.';
COMMENT ON COLUMN simulation.horizon_bars IS 'Bars ahead.';
COMMENT ON COLUMN simulation.span_from IS 'Open of the first bar that could be traded.';
COMMENT ON COLUMN simulation.span_until IS 'Close of the last one.';
COMMENT ON COLUMN simulation.daily_sharpe IS 'Sharpe ratio of net returns by day; missing where nothing varied.';
COMMENT ON COLUMN simulation.recorded_at IS 'When it was first simulated.';
COMMENT ON COLUMN simulation.run_id IS 'Run that simulated it.';
