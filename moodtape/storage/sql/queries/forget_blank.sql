-- Takes text, author and link out of the condemned texts. Their times, hashes, mentions and
-- scores stay, so an hour that is made again is the same. An identity may be a link or a title,
-- so a hash takes its place everywhere. Publishers stay; a subreddit or an account goes.
INSERT INTO tombstone
SELECT source, collection, forgotten_id(source, collection, document_id), $reason, $now, $run_id
FROM condemned;

INSERT INTO suppressed
SELECT DISTINCT key.source, key.what, key.key_hash, $now, $run_id
FROM (
    SELECT s.source, 'url' AS what, sha256(u.url)[:24] AS key_hash
    FROM (SELECT unnest($sources::VARCHAR[]) AS source) AS s, (SELECT unnest($urls::VARCHAR[]) AS url) AS u
    UNION ALL
    SELECT a.source, 'author', sha256(a.author_hash)[:24]
    FROM (SELECT unnest($author_sources::VARCHAR[]) AS source, unnest($authors::VARCHAR[]) AS author_hash) AS a
) AS key
ANTI JOIN suppressed USING (source, what, key_hash);

UPDATE scored_text SET text = '' WHERE content_hash IN (SELECT content_hash FROM orphan);

UPDATE mention
SET document_id = forgotten_id(c.source, c.collection, c.document_id)
FROM condemned AS c
WHERE
    mention.source = c.source AND mention.collection = c.collection
    AND mention.document_id = c.document_id;

UPDATE engagement
SET document_id = forgotten_id(c.source, c.collection, c.document_id)
FROM condemned AS c
WHERE
    engagement.source = c.source AND engagement.collection = c.collection
    AND engagement.document_id = c.document_id;

UPDATE repost
SET document_id = forgotten_id(c.source, c.collection, c.document_id)
FROM condemned AS c
WHERE
    repost.source = c.source AND repost.collection = c.collection
    AND repost.document_id = c.document_id;

UPDATE repost
SET of_document_id = forgotten_id(c.source, c.collection, c.document_id)
FROM condemned AS c
WHERE
    repost.source = c.source AND repost.of_collection = c.collection
    AND repost.of_document_id = c.document_id;

DELETE FROM recheck
USING condemned AS c
WHERE recheck.source = c.source AND recheck.document_id = c.document_id;

UPDATE document
SET
    document_id = forgotten_id(c.source, c.collection, c.document_id),
    title = NULL, body = NULL, url = NULL, author_hash = NULL, categories = NULL,
    outlet = CASE WHEN document.source = 'news' THEN document.outlet END
FROM condemned AS c
WHERE
    document.source = c.source AND document.collection = c.collection
    AND document.document_id = c.document_id;
