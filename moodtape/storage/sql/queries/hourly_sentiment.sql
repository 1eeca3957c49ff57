-- How scores become an hour. Remakes the sums of every dirty hour from base rows, so that
-- the result does not depend on the order in which the rows came.
--
-- A text counts in the hour in which its first revision became known. One that was older
-- than $max_age_us then is stale; one that repeats an earlier text (reposts.sql) is a repost.
-- Both only raise a count of their own.
CREATE OR REPLACE TEMP TABLE fresh_hours AS
WITH first_revision AS (
    SELECT *
    FROM document
    QUALIFY row_number() OVER (
        PARTITION BY source, collection, document_id ORDER BY known_at
    ) = 1
),

judged AS (
    SELECT
        source, collection, document_id, known_at, content_hash,
        date_trunc('hour', known_at) AS hour,
        epoch_us(known_at) - epoch_us(published_at)
        - CASE WHEN date_only THEN 86_400_000_000 ELSE 0 END > $max_age_us AS is_stale,
        (source, collection, document_id, known_at) IN (
            SELECT (source, collection, document_id, told_at) FROM repost
        ) AS is_repost
    FROM first_revision
),

counted AS (
    SELECT
        m.symbol, j.source, j.collection, s.scorer, coalesce(k.kind, 'unknown') AS kind, j.hour,
        CASE WHEN j.is_repost THEN 'repost' WHEN j.is_stale THEN 'stale' ELSE 'news' END AS role,
        s.p_negative, s.p_neutral, s.p_positive
    FROM judged AS j
    SEMI JOIN dirty_hour AS h USING (source, collection, hour)
    JOIN mention AS m
        ON m.source = j.source AND m.collection = j.collection
        AND m.document_id = j.document_id AND m.known_at = j.known_at
    JOIN score AS s ON s.content_hash = j.content_hash
    LEFT JOIN kind AS k ON k.content_hash = j.content_hash AND k.classifier = $classifier
)

SELECT
    symbol, source, collection, scorer, kind, hour,
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
GROUP BY symbol, source, collection, scorer, kind, hour;

MERGE INTO sentiment_hourly AS stored
USING fresh_hours AS f
ON
    stored.symbol = f.symbol AND stored.source = f.source AND stored.collection = f.collection
    AND stored.scorer = f.scorer AND stored.kind = f.kind AND stored.hour = f.hour
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
WHEN NOT MATCHED BY TARGET THEN INSERT
WHEN NOT MATCHED BY SOURCE AND EXISTS (
    SELECT 1 FROM dirty_hour AS h
    WHERE h.source = stored.source AND h.collection = stored.collection AND h.hour = stored.hour
) THEN DELETE;

DELETE FROM dirty_hour;
