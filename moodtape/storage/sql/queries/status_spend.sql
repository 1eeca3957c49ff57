-- What each provider was paid, by month of UTC. A call that is not settled stands at its highest
-- price: no readable answer came.
SELECT
    provider, strftime(date_trunc('month', asked_at), '%Y-%m') AS "month",
    round(sum(micro_usd) / 1e6, 3) AS usd, count(*) AS calls,
    count(*) FILTER (settled_at IS NULL) AS unsettled
FROM spend
GROUP BY ALL
ORDER BY provider, "month";
