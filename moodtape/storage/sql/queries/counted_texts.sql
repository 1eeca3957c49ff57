-- The texts that some hours' sums count, known by $as_of: first revisions that were neither
-- stale nor reposts, as hourly_sentiment.sql has them, the most outspoken of an hour first.
SELECT
    date_trunc('hour', d.known_at) AS hour, m.symbol, d.source, d.collection, d.outlet,
    d.known_at, d.title, d.body, d.url, k.kind,
    (s.p_positive - s.p_negative) / 1e6 AS tone
FROM document AS d
JOIN mention AS m USING (source, collection, document_id, known_at)
JOIN score AS s ON s.content_hash = d.content_hash AND s.scorer = $scorer
LEFT JOIN kind AS k ON k.content_hash = d.content_hash AND k.classifier = $classifier
WHERE
    list_contains($hours, date_trunc('hour', d.known_at)) AND d.known_at <= $as_of
    AND list_contains($symbols, m.symbol) AND list_contains($sources, d.source)
    AND (len($kinds) = 0 OR list_contains($kinds, coalesce(k.kind, 'unknown')))
    AND ($promotion OR d.promotion IS NULL)
    AND epoch_us(d.known_at) - epoch_us(d.published_at)
    - CASE WHEN d.date_only THEN 86_400_000_000 ELSE 0 END <= $max_age_us
    AND NOT EXISTS (
        FROM document AS earlier
        WHERE
            earlier.source = d.source AND earlier.collection = d.collection
            AND earlier.document_id = d.document_id AND earlier.known_at < d.known_at
    )
    AND NOT EXISTS (
        FROM repost AS r
        WHERE
            r.source = d.source AND r.collection = d.collection
            AND r.document_id = d.document_id AND r.told_at = d.known_at
    )
ORDER BY hour, abs(tone) DESC, d.known_at, d.source, d.collection, d.document_id, m.symbol;
