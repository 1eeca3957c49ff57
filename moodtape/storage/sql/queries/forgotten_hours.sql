-- Hours in which texts are gone that this scorer never read, over by $as_of: how many of how many
-- texts about each symbol. A text that was forgotten after it was scored is not gone: its score
-- stays. Which texts were forgotten is today's knowledge, whatever $as_of; see docs/time.md.
WITH gone AS MATERIALIZED (
    SELECT source, collection, document_id, known_at, content_hash
    FROM document
    WHERE starts_with(document_id, 'forgotten:') AND list_contains($sources, source)
),

lost AS (
    SELECT m.symbol, d.source, date_trunc('hour', d.known_at) AS hour, count(*) AS lost
    FROM gone AS d
    JOIN mention AS m USING (source, collection, document_id, known_at)
    ANTI JOIN (
        SELECT content_hash FROM score SEMI JOIN gone USING (content_hash) WHERE scorer = $scorer
    ) AS s USING (content_hash)
    ANTI JOIN gone AS earlier
        ON earlier.source = d.source AND earlier.collection = d.collection
        AND earlier.document_id = d.document_id AND earlier.known_at < d.known_at
    WHERE
        list_contains($symbols, m.symbol)
        AND date_trunc('hour', d.known_at) + INTERVAL 1 HOUR <= $as_of
    GROUP BY ALL
),

scored AS (
    SELECT symbol, source, hour, sum(n + n_stale + n_repost) AS texts
    FROM sentiment_hourly
    SEMI JOIN lost USING (symbol, source, hour)
    WHERE scorer = $scorer
    GROUP BY ALL
)

SELECT symbol, source, hour, lost, (lost + coalesce(texts, 0))::BIGINT AS texts
FROM lost
LEFT JOIN scored USING (symbol, source, hour)
ORDER BY ALL;
