-- How the polls of each source ended, by hours that were over by $as_of. A poll is known when
-- its answer, or none, was there.
SELECT
    collector AS source, date_trunc('hour', polled_at) AS hour,
    count(*) AS n_polls,
    count(*) FILTER (state = 'down') AS n_down,
    count(*) FILTER (state = 'refused') AS n_refused,
    count(*) FILTER (state = 'unreadable') AS n_unreadable,
    count(*) FILTER (state = 'capped') AS n_capped
FROM poll
WHERE
    list_contains($sources, collector)
    AND date_trunc('hour', polled_at) + INTERVAL 1 HOUR <= $as_of
GROUP BY ALL
ORDER BY ALL;
