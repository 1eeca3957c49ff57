CREATE TABLE instrument (
    symbol VARCHAR PRIMARY KEY,
    class VARCHAR NOT NULL,
    calendar VARCHAR NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    run_id VARCHAR NOT NULL
);
COMMENT ON TABLE instrument IS 'What can be forecast.';
COMMENT ON COLUMN instrument.symbol IS 'The asset in upper case, never a pair.';
COMMENT ON COLUMN instrument.class IS 'crypto, or equity where the calendar is an exchange.';
COMMENT ON COLUMN instrument.calendar IS '24/7, or an exchange code such as XNYS.';
COMMENT ON COLUMN instrument.recorded_at IS 'When the first bar of it came.';
COMMENT ON COLUMN instrument.run_id IS 'Run that stored it.';

CREATE TABLE bar (
    symbol VARCHAR NOT NULL,
    venue VARCHAR NOT NULL,
    quote VARCHAR NOT NULL,
    "interval" VARCHAR NOT NULL,
    open_time TIMESTAMPTZ NOT NULL,
    known_at TIMESTAMPTZ NOT NULL,
    close_time TIMESTAMPTZ NOT NULL,
    open DOUBLE NOT NULL,
    high DOUBLE NOT NULL,
    low DOUBLE NOT NULL,
    close DOUBLE NOT NULL,
    volume DOUBLE,
    quote_volume DOUBLE,
    trades BIGINT,
    taker_buy_volume DOUBLE,
    recorded_at TIMESTAMPTZ NOT NULL,
    run_id VARCHAR NOT NULL,
    PRIMARY KEY (symbol, venue, quote, "interval", open_time, known_at)
);
COMMENT ON TABLE bar IS 'Closed price bars; a correction is a further row with a later known_at.';
COMMENT ON COLUMN bar.symbol IS 'The asset.';
COMMENT ON COLUMN bar.venue IS 'Exchange or index that made the bar.';
COMMENT ON COLUMN bar.quote IS 'Currency of the prices.';
COMMENT ON COLUMN bar."interval" IS 'Length of the bar: 1h, 1d ...';
COMMENT ON COLUMN bar.open_time IS 'Start of the bar.';
COMMENT ON COLUMN bar.known_at IS 'When this version was known: the close, or the moment a correction came.';
COMMENT ON COLUMN bar.close_time IS 'End of the bar, from the calendar; the bar covers [open_time, close_time).';
COMMENT ON COLUMN bar.open IS 'First price, in quote.';
COMMENT ON COLUMN bar.high IS 'Highest price, in quote.';
COMMENT ON COLUMN bar.low IS 'Lowest price, in quote.';
COMMENT ON COLUMN bar.close IS 'Last price, in quote.';
COMMENT ON COLUMN bar.volume IS 'Traded amount, in units of the asset.';
COMMENT ON COLUMN bar.quote_volume IS 'Traded amount, in quote.';
COMMENT ON COLUMN bar.trades IS 'Number of trades.';
COMMENT ON COLUMN bar.taker_buy_volume IS 'Amount bought by takers, in units of the asset.';
COMMENT ON COLUMN bar.recorded_at IS 'When the row was stored here.';
COMMENT ON COLUMN bar.run_id IS 'Run that stored it.';

CREATE TABLE metric (
    provider VARCHAR NOT NULL,
    symbol VARCHAR NOT NULL,
    metric VARCHAR NOT NULL,
    period_start TIMESTAMPTZ NOT NULL,
    period_end TIMESTAMPTZ NOT NULL,
    known_at TIMESTAMPTZ NOT NULL,
    value DOUBLE NOT NULL,
    stamped BOOLEAN NOT NULL,
    vintage VARCHAR NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    run_id VARCHAR NOT NULL,
    PRIMARY KEY (provider, symbol, metric, period_end, known_at)
);
COMMENT ON TABLE metric IS 'On-chain, index and funding values by period; a restatement is a further row.';
COMMENT ON COLUMN metric.provider IS 'Who published it.';
COMMENT ON COLUMN metric.symbol IS 'The asset, or MARKET.';
COMMENT ON COLUMN metric.metric IS 'Name of the metric at the provider.';
COMMENT ON COLUMN metric.period_start IS 'Start of the period that the value describes.';
COMMENT ON COLUMN metric.period_end IS 'End of that period.';
COMMENT ON COLUMN metric.known_at IS 'Completion stamp, or period_end plus the provider''s lag.';
COMMENT ON COLUMN metric.value IS 'The value, in the provider''s unit.';
COMMENT ON COLUMN metric.stamped IS 'True where known_at is the provider''s own stamp.';
COMMENT ON COLUMN metric.vintage IS 'single: imported once, with today''s knowledge. live: collected as it came.';
COMMENT ON COLUMN metric.recorded_at IS 'When the row was stored here.';
COMMENT ON COLUMN metric.run_id IS 'Run that stored it.';
