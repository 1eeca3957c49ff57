-- Takes staged metric values in: one that differs from its newest stored version becomes
-- a further row, known at its own stamp if that is new, else at $now. With $live, values of
-- the last days and changes were collected as they came. Versions known after $as_of are left
-- out of the comparison.
CREATE OR REPLACE TEMP TABLE incoming AS
WITH one_per_stamp AS (
    SELECT *
    FROM read_parquet($path)
    QUALIFY row_number() OVER (
        PARTITION BY provider, symbol, metric, period_end, known_at
        ORDER BY length(value::VARCHAR) DESC, line DESC
    ) = 1
)
SELECT * EXCLUDE (line)
FROM one_per_stamp
QUALIFY value IS DISTINCT FROM lag(value) OVER (
    PARTITION BY provider, symbol, metric, period_end ORDER BY known_at
);

CREATE OR REPLACE TEMP TABLE newest AS
SELECT m.*
FROM metric AS m
SEMI JOIN incoming USING (provider, symbol, metric, period_end)
WHERE m.known_at <= $as_of
QUALIFY row_number() OVER (
    PARTITION BY provider, symbol, metric, period_end ORDER BY known_at DESC
) = 1;

CREATE OR REPLACE TEMP TABLE versioned AS
SELECT
    i.provider, i.symbol, i.metric, i.period_start, i.period_end,
    CASE
        WHEN s.known_at IS NULL THEN i.known_at
        WHEN i.stamped AND p.known_at IS NULL THEN i.known_at
        ELSE greatest($now, s.known_at + INTERVAL 1 MICROSECOND)
    END AS known_at,
    i.value, i.stamped AND p.known_at IS NULL AS stamped,
    CASE
        WHEN $live AND (s.known_at IS NOT NULL OR i.period_end > $now - INTERVAL 10 DAY)
        THEN 'live' ELSE 'single'
    END AS vintage,
    $now AS recorded_at, $run_id AS run_id, s.known_at IS NOT NULL AS is_correction
FROM incoming AS i
LEFT JOIN newest AS s USING (provider, symbol, metric, period_end)
LEFT JOIN metric AS p
    ON p.provider = i.provider AND p.symbol = i.symbol AND p.metric = i.metric
    AND p.period_end = i.period_end AND p.known_at = i.known_at
WHERE
    (s.known_at IS NULL OR i.value IS DISTINCT FROM s.value)
    AND (p.known_at IS NULL OR i.value IS DISTINCT FROM p.value);

MERGE INTO metric AS stored
USING (SELECT * EXCLUDE (is_correction) FROM versioned) AS v
ON
    stored.provider = v.provider AND stored.symbol = v.symbol AND stored.metric = v.metric
    AND stored.period_end = v.period_end AND stored.known_at = v.known_at
WHEN NOT MATCHED THEN INSERT;
