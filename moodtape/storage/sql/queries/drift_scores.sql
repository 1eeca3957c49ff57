-- How texts were scored, by the day on which each became known: counts of twenty equal steps of
-- tone, from -1 to 1, and of doubt, the entropy of the three probabilities as a share of the
-- greatest. First revisions alone; known by $as_of.
WITH told AS (
    SELECT source, known_at, content_hash
    FROM document
    WHERE list_contains($sources, source) AND known_at <= $as_of
    QUALIFY row_number() OVER (
        PARTITION BY source, collection, document_id ORDER BY known_at
    ) = 1
),

scored AS (
    SELECT
        source, date_trunc('day', known_at) AS day,
        (p_positive - p_negative) / 1e6 AS tone,
        -list_sum(list_transform(
            [p_negative / 1e6, p_neutral / 1e6, p_positive / 1e6],
            lambda p: CASE WHEN p > 0 THEN p * ln(p) ELSE 0 END
        )) / ln(3) AS doubt
    FROM told
    JOIN score USING (content_hash)
    WHERE scorer = $scorer AND known_at >= $since
)

SELECT
    source, day,
    least(floor((tone + 1) * 10), 19)::INTEGER AS tone_step,
    least(greatest(floor(doubt * 20), 0), 19)::INTEGER AS doubt_step,
    count(*) AS n
FROM scored
GROUP BY ALL
ORDER BY ALL;
