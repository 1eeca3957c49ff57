-- How the last question to each stream ended, and when it was last answered in full.
SELECT
    collector, stream, arg_max(state, polled_at) AS state, max(polled_at) AS last_poll,
    max(polled_at) FILTER (state IN ('ok', 'empty')) AS last_good,
    arg_max(detail, polled_at) AS detail, min(polled_at) AS first_poll
FROM poll
GROUP BY collector, stream
ORDER BY collector, stream;
