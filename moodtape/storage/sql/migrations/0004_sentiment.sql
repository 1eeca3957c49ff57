CREATE TABLE scorer (
    scorer VARCHAR PRIMARY KEY,
    name VARCHAR NOT NULL,
    revision VARCHAR NOT NULL,
    trained_until TIMESTAMPTZ,
    recorded_at TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE scorer IS 'Models that turn texts into probabilities.';
COMMENT ON COLUMN scorer.scorer IS 'name@revision.';
COMMENT ON COLUMN scorer.name IS 'Name in the config.';
COMMENT ON COLUMN scorer.revision IS 'Hash of the model file, runtime and precision.';
COMMENT ON COLUMN scorer.trained_until IS 'Nothing younger went into it; null means unknown, so no text counts as younger.';
COMMENT ON COLUMN scorer.recorded_at IS 'When it first scored here.';

CREATE TABLE score (
    content_hash VARCHAR NOT NULL,
    scorer VARCHAR NOT NULL,
    p_negative INTEGER NOT NULL,
    p_neutral INTEGER NOT NULL,
    p_positive INTEGER NOT NULL,
    scored_at TIMESTAMPTZ NOT NULL,
    run_id VARCHAR NOT NULL,
    PRIMARY KEY (content_hash, scorer)
);
COMMENT ON TABLE score IS 'Probabilities of a text''s tone; a function of the text alone, known when the text is.';
COMMENT ON COLUMN score.content_hash IS 'The text.';
COMMENT ON COLUMN score.scorer IS 'The model.';
COMMENT ON COLUMN score.p_negative IS 'P(negative), millionths.';
COMMENT ON COLUMN score.p_neutral IS 'P(neutral), millionths.';
COMMENT ON COLUMN score.p_positive IS 'P(positive), millionths.';
COMMENT ON COLUMN score.scored_at IS 'When it was computed; never used as known_at.';
COMMENT ON COLUMN score.run_id IS 'Run that stored it.';

CREATE TABLE kind (
    content_hash VARCHAR NOT NULL,
    classifier VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    probability INTEGER NOT NULL,
    run_id VARCHAR NOT NULL,
    PRIMARY KEY (content_hash, classifier)
);
COMMENT ON TABLE kind IS 'What sort of text it is; serves every scorer.';
COMMENT ON COLUMN kind.content_hash IS 'The text.';
COMMENT ON COLUMN kind.classifier IS 'The model that said so.';
COMMENT ON COLUMN kind.kind IS 'event, recap, forecast, promotion or other.';
COMMENT ON COLUMN kind.probability IS 'Probability of that kind, millionths.';
COMMENT ON COLUMN kind.run_id IS 'Run that stored it.';

CREATE TABLE dirty_hour (
    source VARCHAR NOT NULL,
    collection VARCHAR NOT NULL,
    hour TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (source, collection, hour)
);
COMMENT ON TABLE dirty_hour IS 'Hours whose sums must be made again; filled with the rows that dirty them.';
COMMENT ON COLUMN dirty_hour.source IS 'news, reddit or x.';
COMMENT ON COLUMN dirty_hour.collection IS 'Feed set or data set.';
COMMENT ON COLUMN dirty_hour.hour IS 'Start of the hour.';

CREATE TABLE sentiment_hourly (
    symbol VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    collection VARCHAR NOT NULL,
    scorer VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    hour TIMESTAMPTZ NOT NULL,
    n INTEGER NOT NULL,
    n_stale INTEGER NOT NULL,
    n_repost INTEGER NOT NULL,
    n_negative INTEGER NOT NULL,
    n_neutral INTEGER NOT NULL,
    n_positive INTEGER NOT NULL,
    sum_negative BIGINT NOT NULL,
    sum_positive BIGINT NOT NULL,
    sum_tone BIGINT NOT NULL,
    sum_tone_squared BIGINT NOT NULL,
    PRIMARY KEY (symbol, source, collection, scorer, kind, hour)
);
COMMENT ON TABLE sentiment_hourly IS 'Sums over the texts first known in each hour; only additive whole numbers, only hours that have texts.';
COMMENT ON COLUMN sentiment_hourly.symbol IS 'The asset, or MARKET.';
COMMENT ON COLUMN sentiment_hourly.source IS 'news, reddit or x.';
COMMENT ON COLUMN sentiment_hourly.collection IS 'Feed set or data set.';
COMMENT ON COLUMN sentiment_hourly.scorer IS 'The model.';
COMMENT ON COLUMN sentiment_hourly.kind IS 'Sort of text; unknown where nothing classified it.';
COMMENT ON COLUMN sentiment_hourly.hour IS 'Start of the hour [hour, hour + 1h) in which the texts became known.';
COMMENT ON COLUMN sentiment_hourly.n IS 'Texts that count: new, fresh and scored.';
COMMENT ON COLUMN sentiment_hourly.n_stale IS 'Texts that were old when first known; in no other number.';
COMMENT ON COLUMN sentiment_hourly.n_repost IS 'Repeats of an earlier text; in no other number.';
COMMENT ON COLUMN sentiment_hourly.n_negative IS 'Texts whose likeliest tone is negative.';
COMMENT ON COLUMN sentiment_hourly.n_neutral IS 'Texts whose likeliest tone is neutral.';
COMMENT ON COLUMN sentiment_hourly.n_positive IS 'Texts whose likeliest tone is positive.';
COMMENT ON COLUMN sentiment_hourly.sum_negative IS 'Sum of P(negative), millionths.';
COMMENT ON COLUMN sentiment_hourly.sum_positive IS 'Sum of P(positive), millionths.';
COMMENT ON COLUMN sentiment_hourly.sum_tone IS 'Sum of P(positive) - P(negative), millionths.';
COMMENT ON COLUMN sentiment_hourly.sum_tone_squared IS 'Sum of its square, millionths squared.';

CREATE VIEW sentiment AS
SELECT
    symbol, source, collection, scorer, hour,
    sum(n)::INTEGER AS n,
    sum(n_stale)::INTEGER AS n_stale,
    sum(n_repost)::INTEGER AS n_repost,
    sum(sum_tone) / nullif(sum(n), 0) / 1e6 AS tone,
    sum(n_positive) / nullif(sum(n), 0) AS share_positive,
    sum(n_negative) / nullif(sum(n), 0) AS share_negative,
    sqrt(greatest(
        sum(sum_tone_squared)::DOUBLE / nullif(sum(n), 0) / 1e12
        - pow(sum(sum_tone) / nullif(sum(n), 0) / 1e6, 2), 0)) AS dispersion
FROM sentiment_hourly
GROUP BY ALL;
COMMENT ON VIEW sentiment IS 'The hourly series to read: means and shares of sentiment_hourly over all kinds of text.';
