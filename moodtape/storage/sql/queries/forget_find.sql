-- Which stored texts a request means: by identity, by link or by author. Leaves the temp table
-- condemned: one row for each text, whatever its number of revisions.
CREATE OR REPLACE TEMP TABLE condemned AS
SELECT DISTINCT source, collection, document_id
FROM document
WHERE
    list_contains($sources, source)
    AND document_id NOT LIKE 'forgotten:%'
    AND (
        list_contains($ids, document_id)
        OR list_contains($urls, url)
        OR list_contains($authors, author_hash)
    );

-- Strings that scorers read and that no other text shares.
CREATE OR REPLACE TEMP TABLE orphan AS
SELECT DISTINCT d.content_hash
FROM document AS d
SEMI JOIN condemned USING (source, collection, document_id)
WHERE NOT EXISTS (
    SELECT 1
    FROM document AS other
    WHERE
        other.content_hash = d.content_hash
        AND other.document_id NOT LIKE 'forgotten:%'
        AND NOT EXISTS (
            SELECT 1
            FROM condemned AS c
            WHERE
                c.source = other.source AND c.collection = other.collection
                AND c.document_id = other.document_id
        )
);
