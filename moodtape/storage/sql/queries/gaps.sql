-- Stretches for which something should be stored and is not, newest first: bars of markets that
-- never close, values of metrics between their first and last, and streams of texts that were
-- not answered in full for longer than $max_gap_us.
WITH one_bar AS (
    SELECT DISTINCT b.symbol, b.venue, b.quote, b."interval", b.open_time, b.close_time
    FROM bar AS b
    JOIN instrument AS i ON i.symbol = b.symbol AND i.calendar = '24/7'
),

one_value AS (
    SELECT DISTINCT symbol, provider, metric, period_start, period_end FROM metric
),

bars AS (
    SELECT
        symbol, venue, quote, "interval", close_time AS since,
        lead(open_time) OVER (
            PARTITION BY symbol, venue, quote, "interval" ORDER BY open_time
        ) AS until,
        epoch_us(close_time) - epoch_us(open_time) AS step
    FROM one_bar
),

metrics AS (
    SELECT
        symbol, provider, metric, period_end AS since,
        lead(period_start) OVER (
            PARTITION BY symbol, provider, metric ORDER BY period_end
        ) AS until,
        epoch_us(period_end) - epoch_us(period_start) AS step
    FROM one_value
),

good_polls AS (
    SELECT
        collector, stream, polled_at AS since,
        lead(polled_at) OVER (PARTITION BY collector, stream ORDER BY polled_at) AS until
    FROM poll
    WHERE state IN ('ok', 'empty')
)

SELECT
    'bars' AS kind, venue AS origin, concat(symbol, '/', quote, ' ', "interval") AS series,
    symbol, since, until, ((epoch_us(until) - epoch_us(since)) / step)::BIGINT AS missing,
    '' AS why
FROM bars
WHERE until > since
UNION ALL
SELECT
    'metrics', provider, concat(symbol, ' ', metric), symbol, since, until,
    ((epoch_us(until) - epoch_us(since)) / step)::BIGINT, ''
FROM metrics
WHERE until > since
UNION ALL
SELECT
    'polls', g.collector, g.stream, NULL, g.since, g.until, NULL,
    coalesce(string_agg(DISTINCT p.state, ', ' ORDER BY p.state), 'not asked')
FROM good_polls AS g
LEFT JOIN poll AS p
    ON p.collector = g.collector AND p.stream = g.stream
    AND p.polled_at > g.since AND p.polled_at < g.until
WHERE g.collector IN ('news', 'reddit', 'x') AND epoch_us(g.until) - epoch_us(g.since) > $max_gap_us
GROUP BY g.collector, g.stream, g.since, g.until
ORDER BY kind, since DESC, series;
