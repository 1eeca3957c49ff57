-- What each collector's polls of a day came to, as far as they were made by its end.
SELECT
    collector, count(*) AS polls, count(*) FILTER (state IN ('ok', 'empty')) AS good,
    sum(items)::BIGINT AS items, arg_max(state, polled_at) AS state,
    arg_max(detail, polled_at) FILTER (state NOT IN ('ok', 'empty')) AS trouble
FROM poll
WHERE polled_at > $since AND polled_at <= $until
GROUP BY collector
ORDER BY collector;
