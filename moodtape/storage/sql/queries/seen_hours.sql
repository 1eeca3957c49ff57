-- Hours in which a collection brought at least one text about anything, over by $as_of:
-- proof that it was being watched then.
SELECT DISTINCT source, hour
FROM sentiment_hourly
WHERE
    scorer = $scorer AND list_contains($sources, source)
    AND hour + INTERVAL 1 HOUR <= $as_of
ORDER BY source, hour;
