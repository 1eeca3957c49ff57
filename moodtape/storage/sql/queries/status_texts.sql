-- Texts per source and collection, and how many of them look like promotion.
SELECT
    source, collection, count(DISTINCT document_id) AS texts,
    count(*) - count(DISTINCT document_id) AS revisions,
    count(promotion) AS promotion,
    min(known_at) AS first, max(known_at) AS last
FROM document
GROUP BY source, collection
ORDER BY source, collection;
