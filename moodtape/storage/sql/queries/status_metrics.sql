-- Metric values per provider and asset.
SELECT
    provider, symbol, count(DISTINCT metric) AS metrics, count(*) AS "values",
    min(period_start) AS first, max(period_end) AS last
FROM metric
GROUP BY provider, symbol
ORDER BY provider, symbol;
