-- Which texts repeat an earlier one. Remakes the reposts of the dirty hours in [$since, $until)
-- from base rows, so that they do not depend on the order in which the rows came.
--
-- At its known_at a text joins the most similar text of its source that was known before it, at
-- most $repost_window_us before; of equally similar ones the latest. It never joins a later one,
-- so a group only grows forward, and two groups never become one. Looked at are the four latest
-- texts under each of its band keys, and under its words. Two at one instant stand in the order
-- of collection and identity.
CREATE OR REPLACE TEMP TABLE stated AS
WITH near AS (
    SELECT
        source, collection, document_id, known_at, repeat_key, sketch, bands,
        date_trunc('hour', known_at) AS hour
    FROM document
    ANTI JOIN later_revision USING (source, collection, document_id, known_at)
    WHERE known_at >= $seen_from AND known_at < $until AND repeat_key IS NOT NULL
)

SELECT
    n.*,
    n.known_at >= $since AND h.hour IS NOT NULL AS is_due,
    row_number() OVER (
        ORDER BY n.known_at, n.collection, forgotten_id(n.source, n.collection, n.document_id)
    ) AS place
FROM near AS n
LEFT JOIN dirty_hour AS h USING (source, collection, hour);

CREATE OR REPLACE TEMP TABLE shelf AS
SELECT source, place, is_due, unnest(list_append(bands::UBIGINT[], word_key(repeat_key))) AS key
FROM stated;

CREATE OR REPLACE TEMP TABLE candidate AS
WITH shared AS (
    SELECT source, key
    FROM shelf
    GROUP BY source, key
    HAVING count(*) > 1 AND bool_or(is_due)
),

before AS (
    SELECT
        place, is_due,
        [
            lag(place) OVER earlier, lag(place, 2) OVER earlier, lag(place, 3) OVER earlier,
            lag(place, 4) OVER earlier
        ] AS places
    FROM shelf
    SEMI JOIN shared USING (source, key)
    WINDOW earlier AS (PARTITION BY source, key ORDER BY place)
)

SELECT DISTINCT place, unnest(places) AS of_place
FROM before
WHERE is_due;

DELETE FROM repost
WHERE told_at >= $since AND told_at < $until AND EXISTS (
    SELECT 1
    FROM dirty_hour AS h
    WHERE
        h.source = repost.source AND h.collection = repost.collection
        AND h.hour = date_trunc('hour', repost.told_at)
);

INSERT INTO repost BY NAME
SELECT
    t.source, t.collection, t.document_id, t.known_at AS told_at, o.collection AS of_collection,
    o.document_id AS of_document_id, o.known_at AS of_told_at,
    CASE WHEN o.repeat_key = t.repeat_key THEN 1 ELSE similarity(o.sketch, t.sketch) END
        AS similarity,
    count(*) OVER (PARTITION BY c.place)::INTEGER AS times
FROM candidate AS c
JOIN stated AS t ON t.place = c.place
JOIN stated AS o ON o.place = c.of_place
WHERE
    epoch_us(t.known_at) - epoch_us(o.known_at) <= $repost_window_us
    AND (o.repeat_key = t.repeat_key OR similarity(o.sketch, t.sketch) >= $repost_similarity)
QUALIFY row_number() OVER (PARTITION BY c.place ORDER BY similarity DESC, c.of_place DESC) = 1;
