-- Takes staged bars in: a bar that differs from its newest stored version becomes a
-- further row, known at $now. A column the file lacks (null) says nothing against one stored.
-- Versions known after $as_of are left out of the comparison: what is taken in a second time
-- is compared with what was stored then.
CREATE OR REPLACE TEMP TABLE incoming AS
SELECT * EXCLUDE (line)
FROM read_parquet($path)
QUALIFY row_number() OVER (
    PARTITION BY symbol, venue, quote, "interval", open_time
    ORDER BY
        (volume IS NOT NULL)::INT + (quote_volume IS NOT NULL)::INT
        + (trades IS NOT NULL)::INT + (taker_buy_volume IS NOT NULL)::INT DESC,
        length(concat(open, high, low, close, volume, quote_volume, taker_buy_volume)) DESC,
        line DESC
) = 1;

CREATE OR REPLACE TEMP TABLE newest AS
SELECT b.*
FROM bar AS b
SEMI JOIN incoming USING (symbol, venue, quote, "interval", open_time)
WHERE b.known_at <= $as_of
QUALIFY row_number() OVER (
    PARTITION BY symbol, venue, quote, "interval", open_time ORDER BY known_at DESC
) = 1;

CREATE OR REPLACE TEMP TABLE versioned AS
SELECT
    i.symbol, i.venue, i.quote, i."interval", i.open_time,
    CASE
        WHEN s.known_at IS NULL THEN i.close_time
        ELSE greatest($now, s.known_at + INTERVAL 1 MICROSECOND)
    END AS known_at,
    i.close_time, i.open, i.high, i.low, i.close,
    coalesce(i.volume, s.volume) AS volume,
    coalesce(i.quote_volume, s.quote_volume) AS quote_volume,
    coalesce(i.trades, s.trades) AS trades,
    coalesce(i.taker_buy_volume, s.taker_buy_volume) AS taker_buy_volume,
    $now AS recorded_at, $run_id AS run_id, s.known_at IS NOT NULL AS is_correction
FROM incoming AS i
LEFT JOIN newest AS s USING (symbol, venue, quote, "interval", open_time)
WHERE
    s.known_at IS NULL
    OR (i.open, i.high, i.low, i.close) IS DISTINCT FROM (s.open, s.high, s.low, s.close)
    OR coalesce(i.volume, s.volume) IS DISTINCT FROM s.volume
    OR coalesce(i.quote_volume, s.quote_volume) IS DISTINCT FROM s.quote_volume
    OR coalesce(i.trades, s.trades) IS DISTINCT FROM s.trades
    OR coalesce(i.taker_buy_volume, s.taker_buy_volume) IS DISTINCT FROM s.taker_buy_volume;

MERGE INTO bar AS stored
USING (SELECT * EXCLUDE (is_correction) FROM versioned) AS v
ON
    stored.symbol = v.symbol AND stored.venue = v.venue AND stored.quote = v.quote
    AND stored."interval" = v."interval" AND stored.open_time = v.open_time
    AND stored.known_at = v.known_at
WHEN NOT MATCHED THEN INSERT;

MERGE INTO instrument AS stored
USING (
    SELECT DISTINCT symbol, $class AS class, $calendar AS calendar,
        $now AS recorded_at, $run_id AS run_id
    FROM incoming
) AS i
ON stored.symbol = i.symbol
WHEN NOT MATCHED THEN INSERT;
