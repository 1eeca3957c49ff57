-- Versions of metric values that were the newest period when they became known, so that an
-- as-of join on known_at alone gives the right value. $symbols: the asset, then the market;
-- where both have the same metric, the asset's own value comes last and so wins.
WITH known AS (
    SELECT
        metric, provider, symbol, period_end, known_at, value,
        max(period_end) OVER (
            PARTITION BY metric, provider ORDER BY known_at, period_end
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS newest_period
    FROM metric
    WHERE
        list_contains($symbols, symbol) AND list_contains($names, metric)
        AND known_at <= $as_of
)

SELECT metric, provider, period_end, known_at, value
FROM known
WHERE period_end = newest_period
ORDER BY metric, provider, known_at, period_end, list_position($symbols, symbol) DESC;
