ALTER TABLE document ADD COLUMN promotion_marks VARCHAR;
ALTER TABLE document ADD COLUMN promotion VARCHAR;
COMMENT ON COLUMN document.promotion_marks IS 'What in the words and links looks like promotion or like a bot: names of the rules in promotion.toml, separated by |; empty for none, null until it was looked at. A function of this text alone.';
COMMENT ON COLUMN document.promotion IS 'Why the text counts as promotion or as a bot''s: its marks, and repeats where earlier texts told the same; null for none, and for revisions that do not count. No later text changes it.';

ALTER TABLE repost ADD COLUMN times INTEGER;
COMMENT ON COLUMN repost.times IS 'How often it was told in the window before, as far as looked at: under each key the four latest.';

-- The flag becomes part of the key, so that a study can leave such texts out. The next refresh
-- makes all sums anew; until then all count as what they were.
CREATE TABLE hours_before AS FROM sentiment_hourly;
DROP VIEW sentiment;
DROP TABLE sentiment_hourly;

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
    promotion BOOLEAN NOT NULL,
    PRIMARY KEY (symbol, source, collection, scorer, kind, promotion, hour)
);
COMMENT ON TABLE sentiment_hourly IS 'Sums over the texts first known in each hour; only additive whole numbers, only hours that have texts.';
COMMENT ON COLUMN sentiment_hourly.symbol IS 'The asset, or MARKET.';
COMMENT ON COLUMN sentiment_hourly.source IS 'news, reddit or x.';
COMMENT ON COLUMN sentiment_hourly.collection IS 'Feed set or data set.';
COMMENT ON COLUMN sentiment_hourly.scorer IS 'The model.';
COMMENT ON COLUMN sentiment_hourly.kind IS 'Sort of text; unknown where nothing classified it.';
COMMENT ON COLUMN sentiment_hourly.promotion IS 'Whether the texts look like promotion or like bots: see document.promotion.';
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

INSERT INTO sentiment_hourly BY NAME SELECT *, false AS promotion FROM hours_before;
DROP TABLE hours_before;

CREATE VIEW sentiment AS
SELECT
    symbol, source, collection, scorer, hour,
    sum(n)::INTEGER AS n,
    sum(n_stale)::INTEGER AS n_stale,
    sum(n_repost)::INTEGER AS n_repost,
    coalesce(sum(n) FILTER (promotion), 0)::INTEGER AS n_promotion,
    sum(sum_tone) / nullif(sum(n), 0) / 1e6 AS tone,
    sum(n_positive) / nullif(sum(n), 0) AS share_positive,
    sum(n_negative) / nullif(sum(n), 0) AS share_negative,
    sqrt(greatest(
        sum(sum_tone_squared)::DOUBLE / nullif(sum(n), 0) / 1e12
        - pow(sum(sum_tone) / nullif(sum(n), 0) / 1e6, 2), 0)) AS dispersion
FROM sentiment_hourly
GROUP BY ALL;
COMMENT ON VIEW sentiment IS 'The hourly series to read: means and shares of sentiment_hourly over all kinds of text.';
COMMENT ON COLUMN sentiment.symbol IS 'The asset, or MARKET.';
COMMENT ON COLUMN sentiment.source IS 'news, reddit or x.';
COMMENT ON COLUMN sentiment.collection IS 'Feed set or data set.';
COMMENT ON COLUMN sentiment.scorer IS 'The model.';
COMMENT ON COLUMN sentiment.hour IS 'Start of the hour [hour, hour + 1h) in which the texts became known.';
COMMENT ON COLUMN sentiment.n IS 'Texts that count: new, fresh and scored.';
COMMENT ON COLUMN sentiment.n_stale IS 'Texts that were old when first known; in no other number.';
COMMENT ON COLUMN sentiment.n_repost IS 'Repeats of an earlier text; in no other number.';
COMMENT ON COLUMN sentiment.n_promotion IS 'Of n, texts that look like promotion or like bots.';
COMMENT ON COLUMN sentiment.tone IS 'Mean of P(positive) - P(negative), from -1 to 1; null where n is 0.';
COMMENT ON COLUMN sentiment.share_positive IS 'Share of texts whose likeliest tone is positive.';
COMMENT ON COLUMN sentiment.share_negative IS 'Share of texts whose likeliest tone is negative.';
COMMENT ON COLUMN sentiment.dispersion IS 'Standard deviation of the tone over the hour''s texts.';
