-- The wishful clock: a metric counts as known when its period ended, with the value that its
-- provider shows at $as_of, restatements included.
CREATE OR REPLACE TEMP TABLE near_metric AS
SELECT * REPLACE (period_end AS known_at)
FROM near_metric
WHERE known_at <= $as_of
QUALIFY row_number() OVER (
    PARTITION BY provider, symbol, metric, period_end ORDER BY known_at DESC
) = 1;
