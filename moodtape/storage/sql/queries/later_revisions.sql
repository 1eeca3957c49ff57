-- Revisions that do not count, since the same text was known before: of the texts that became
-- known in dirty hours or at most $window before them, in stretches of $stretch_days.
CREATE OR REPLACE TEMP TABLE stretch AS
SELECT min(hour) AS since, max(hour) + INTERVAL 1 HOUR AS until, min(hour) - $window AS seen_from
FROM dirty_hour
GROUP BY epoch(hour)::BIGINT // (86_400 * $stretch_days);

CREATE OR REPLACE TEMP TABLE later_revision AS
WITH seen AS (
    SELECT DISTINCT source, collection, document_id
    FROM document
    SEMI JOIN stretch ON known_at >= seen_from AND known_at < until
)

SELECT source, collection, document_id, known_at
FROM document
SEMI JOIN seen USING (source, collection, document_id)
QUALIFY row_number() OVER (PARTITION BY source, collection, document_id ORDER BY known_at) > 1;
