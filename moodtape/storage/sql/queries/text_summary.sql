-- Texts first known in [$since, $until) per source and collection, and how they are dated.
WITH first_revision AS (
    SELECT *
    FROM document
    QUALIFY row_number() OVER (
        PARTITION BY source, collection, document_id ORDER BY known_at
    ) = 1
),

watched AS (
    SELECT source, collection, bool_and(state = 'crawled') AS crawled
    FROM coverage
    GROUP BY source, collection
)

SELECT
    d.source,
    d.collection,
    count(*) AS texts,
    min(d.known_at) AS first,
    max(d.known_at) AS last,
    avg(d.backfilled::INTEGER) AS backfilled_share,
    avg(d.assumed::INTEGER) AS assumed_share,
    avg((d.promotion IS NOT NULL)::INTEGER) AS promotion_share,
    count(*) FILTER (s.content_hash IS NOT NULL) AS scored,
    CASE WHEN any_value(w.crawled) THEN 'crawled' ELSE 'partial' END AS state
FROM first_revision AS d
LEFT JOIN score AS s ON s.content_hash = d.content_hash AND s.scorer = $scorer
LEFT JOIN watched AS w ON w.source = d.source AND w.collection = d.collection
WHERE list_contains($sources, d.source) AND d.known_at >= $since AND d.known_at < $until
GROUP BY d.source, d.collection
ORDER BY d.source, d.collection;
