-- Marks the hours in which what the texts in the temp table moved tell may be told again: later
-- texts with one of their keys, at most $repost_window after them. Hours that are dirty already
-- need no second look.
CREATE OR REPLACE TEMP TABLE later AS
SELECT source, collection, known_at, date_trunc('hour', known_at) AS hour, repeat_key, bands
FROM document
ANTI JOIN dirty_hour AS h
    ON h.source = document.source AND h.collection = document.collection
    AND h.hour = date_trunc('hour', document.known_at)
WHERE known_at >= $told_from AND known_at <= $told_until AND repeat_key IS NOT NULL;

MERGE INTO dirty_hour AS stored
USING (
    SELECT DISTINCT l.source, l.collection, l.hour
    FROM (
        SELECT
            source, collection, hour, known_at,
            unnest(list_append(bands::UBIGINT[], word_key(repeat_key))) AS key
        FROM later
    ) AS l
    JOIN (
        SELECT
            source, known_at,
            unnest(list_append(bands::UBIGINT[], word_key(repeat_key))) AS key
        FROM touched
        SEMI JOIN moved USING (source, collection, document_id)
        WHERE repeat_key IS NOT NULL AND EXISTS (SELECT 1 FROM later)
    ) AS t
        ON
            l.source = t.source AND l.key = t.key AND l.known_at >= t.known_at
            AND l.known_at <= t.known_at + $repost_window
) AS v
ON stored.source = v.source AND stored.collection = v.collection AND stored.hour = v.hour
WHEN NOT MATCHED THEN INSERT;
