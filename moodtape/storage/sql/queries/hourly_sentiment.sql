-- How scores become an hour. Remakes the sums of the dirty hours, which lie in [$since, $until),
-- from base rows, so that the result does not depend on the order in which the rows came.
--
-- A text counts in the hour in which its first revision became known. One that was older
-- than $max_age_us then is stale; one that repeats an earlier text (reposts.sql) is a repost.
-- Both only raise a count of their own. Why a text looks like promotion is kept with it; such
-- texts are summed apart, under a key of their own.
CREATE OR REPLACE TEMP TABLE due_text AS
SELECT
    document.source, document.collection, document.document_id, known_at, content_hash,
    date_trunc('hour', known_at) AS hour,
    epoch_us(known_at) - epoch_us(published_at)
    - CASE WHEN date_only THEN 86_400_000_000 ELSE 0 END > $max_age_us AS is_stale,
    r.times IS NOT NULL AS is_repost,
    nullif(concat_ws('|', nullif(promotion_marks, ''), CASE
        WHEN r.times >= $repeat_times AND list_contains($repeat_sources, document.source)
            THEN 'repeats'
    END), '') AS promotion
FROM document
SEMI JOIN dirty_hour AS h
    ON h.source = document.source AND h.collection = document.collection
    AND h.hour = date_trunc('hour', document.known_at)
ANTI JOIN later_revision AS l
    ON l.source = document.source AND l.collection = document.collection
    AND l.document_id = document.document_id AND l.known_at = document.known_at
LEFT JOIN repost AS r
    ON r.source = document.source AND r.collection = document.collection
    AND r.document_id = document.document_id AND r.told_at = document.known_at
WHERE known_at >= $since AND known_at < $until;

UPDATE document
SET promotion = d.promotion
FROM due_text AS d
WHERE
    document.source = d.source AND document.collection = d.collection
    AND document.document_id = d.document_id AND document.known_at = d.known_at
    AND document.promotion IS DISTINCT FROM d.promotion;

UPDATE document
SET promotion = NULL
FROM later_revision AS l
WHERE
    document.source = l.source AND document.collection = l.collection
    AND document.document_id = l.document_id AND document.known_at = l.known_at
    AND document.promotion IS NOT NULL;

CREATE OR REPLACE TEMP TABLE fresh_hours AS
WITH counted AS (
    SELECT
        m.symbol, d.source, d.collection, s.scorer, coalesce(k.kind, 'unknown') AS kind,
        d.promotion IS NOT NULL AS promotion, d.hour,
        CASE WHEN d.is_repost THEN 'repost' WHEN d.is_stale THEN 'stale' ELSE 'news' END AS role,
        s.p_negative, s.p_neutral, s.p_positive
    FROM due_text AS d
    JOIN (
        SELECT * FROM mention WHERE known_at >= $since AND known_at < $until
    ) AS m USING (source, collection, document_id, known_at)
    JOIN score AS s ON s.content_hash = d.content_hash
    LEFT JOIN (
        SELECT content_hash, kind
        FROM kind
        SEMI JOIN due_text USING (content_hash)
        WHERE classifier = $classifier
    ) AS k ON k.content_hash = d.content_hash
)

SELECT
    symbol, source, collection, scorer, kind, promotion, hour,
    count(*) FILTER (role = 'news')::INTEGER AS n,
    count(*) FILTER (role = 'stale')::INTEGER AS n_stale,
    count(*) FILTER (role = 'repost')::INTEGER AS n_repost,
    count(*) FILTER (
        role = 'news' AND p_negative > p_neutral AND p_negative > p_positive
    )::INTEGER AS n_negative,
    count(*) FILTER (
        role = 'news' AND p_neutral >= p_negative AND p_neutral >= p_positive
    )::INTEGER AS n_neutral,
    count(*) FILTER (
        role = 'news' AND p_positive > p_neutral AND p_positive >= p_negative
    )::INTEGER AS n_positive,
    coalesce(sum(p_negative) FILTER (role = 'news'), 0)::BIGINT AS sum_negative,
    coalesce(sum(p_positive) FILTER (role = 'news'), 0)::BIGINT AS sum_positive,
    coalesce(sum(p_positive - p_negative) FILTER (role = 'news'), 0)::BIGINT AS sum_tone,
    coalesce(
        sum((p_positive - p_negative)::BIGINT * (p_positive - p_negative)) FILTER (role = 'news'), 0
    )::BIGINT AS sum_tone_squared
FROM counted
GROUP BY symbol, source, collection, scorer, kind, promotion, hour;

DELETE FROM sentiment_hourly AS stored
WHERE
    hour >= $since AND hour < $until
    AND (source, collection, hour) IN (SELECT (source, collection, hour) FROM dirty_hour)
    AND (symbol, source, collection, scorer, kind, promotion, hour) NOT IN (
        SELECT (symbol, source, collection, scorer, kind, promotion, hour) FROM fresh_hours
    );

MERGE INTO sentiment_hourly AS stored
USING fresh_hours AS f
ON
    stored.symbol = f.symbol AND stored.source = f.source AND stored.collection = f.collection
    AND stored.scorer = f.scorer AND stored.kind = f.kind AND stored.promotion = f.promotion
    AND stored.hour = f.hour
WHEN MATCHED AND (
    (stored.n, stored.n_stale, stored.n_repost, stored.n_negative, stored.n_neutral,
        stored.n_positive, stored.sum_negative, stored.sum_positive, stored.sum_tone,
        stored.sum_tone_squared)
    IS DISTINCT FROM
    (f.n, f.n_stale, f.n_repost, f.n_negative, f.n_neutral, f.n_positive, f.sum_negative,
        f.sum_positive, f.sum_tone, f.sum_tone_squared)
) THEN UPDATE SET
    n = f.n, n_stale = f.n_stale, n_repost = f.n_repost, n_negative = f.n_negative,
    n_neutral = f.n_neutral, n_positive = f.n_positive, sum_negative = f.sum_negative,
    sum_positive = f.sum_positive, sum_tone = f.sum_tone, sum_tone_squared = f.sum_tone_squared
WHEN NOT MATCHED THEN INSERT BY NAME;

DELETE FROM dirty_hour;
