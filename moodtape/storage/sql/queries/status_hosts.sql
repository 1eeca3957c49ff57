-- Hosts that failed or asked to be left alone: resting, on trial (the next request decides),
-- or failing but still asked.
SELECT
    host,
    CASE
        WHEN open_until > $now OR free_at > $now THEN 'resting'
        WHEN open_until IS NOT NULL THEN 'on trial'
        ELSE 'failing'
    END AS state,
    failures, greatest(open_until, free_at) AS "until", last_status, why
FROM host_limit
WHERE failures > 0 OR open_until IS NOT NULL OR free_at > $now
ORDER BY host;
