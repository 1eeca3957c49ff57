-- Bars per series: how many, from when, to when, and how many are missing in between
-- (around-the-clock markets only; exchange calendars are not known to SQL).
SELECT
    b.symbol, b.venue, b.quote, b."interval", count(DISTINCT b.open_time) AS bars,
    CASE WHEN any_value(i.calendar) = '24/7' THEN
        round(
            (epoch(max(b.close_time)) - epoch(min(b.open_time)))
            / epoch(max(b.close_time - b.open_time))
        )::BIGINT - count(DISTINCT b.open_time)
    END AS missing,
    count(*) - count(DISTINCT b.open_time) AS corrections,
    min(b.open_time) AS first, max(b.close_time) AS last
FROM bar AS b
JOIN instrument AS i ON i.symbol = b.symbol
GROUP BY b.symbol, b.venue, b.quote, b."interval"
ORDER BY b.symbol, b.venue, b.quote, b."interval";
