-- Bars per series: how many, from when, to when.
SELECT
    symbol, venue, quote, "interval", count(DISTINCT open_time) AS bars,
    count(*) - count(DISTINCT open_time) AS corrections,
    min(open_time) AS first, max(close_time) AS last
FROM bar
GROUP BY symbol, venue, quote, "interval"
ORDER BY symbol, venue, quote, "interval";
