-- Changes what became known of texts after $cut, and nothing known by then.
-- Every draw is a hash of the row and $seed, so that it does not depend on the order of rows.
CREATE OR REPLACE TEMP TABLE known_text AS
SELECT DISTINCT content_hash FROM document WHERE known_at <= $cut;

-- Words to put in a text's place: the newest ones, and of those known by the cut the newest.
CREATE OR REPLACE TEMP TABLE pool AS
SELECT
    content_hash, words.*, row_number() OVER (ORDER BY content_hash) - 1 AS number
FROM (
    SELECT content_hash, max(known_at) AS newest, min(struct_pack(
        repeat_key := repeat_key, sketch_version := sketch_version, sketch := sketch,
        bands := bands, promotion_marks := promotion_marks
    )) AS words
    FROM document
    GROUP BY content_hash
    ORDER BY newest DESC, content_hash
    LIMIT 1000
);

CREATE OR REPLACE TEMP TABLE old_words AS
SELECT source, content_hash, repeat_key, sketch_version, sketch, bands, promotion_marks
FROM document
WHERE known_at <= $cut AND repeat_key IS NOT NULL
QUALIFY row_number() OVER (PARTITION BY source ORDER BY known_at DESC, document_id) = 1;

-- A text that was not known by the cut is scored otherwise, and is of another kind.
UPDATE score
SET p_negative = p_positive, p_neutral = p_negative, p_positive = p_neutral
WHERE content_hash NOT IN (SELECT content_hash FROM known_text);

UPDATE kind
SET kind = CASE kind WHEN 'event' THEN 'promotion' ELSE 'event' END
WHERE content_hash NOT IN (SELECT content_hash FROM known_text);

-- Additions: texts published before the cut and known after it, and revisions of known ones.
CREATE OR REPLACE TEMP TABLE added AS
SELECT
    document_id AS origin, d.known_at AS origin_known_at,
    d.* EXCLUDE (
        draw, age, content_hash, repeat_key, sketch_version, sketch, bands, promotion_marks
    ) REPLACE (
        CASE WHEN d.known_at > $cut THEN document_id || '~' ELSE document_id END AS document_id,
        $cut + INTERVAL 1 MINUTE * (1 + draw % 180) AS known_at,
        CASE WHEN d.known_at > $cut THEN $cut - INTERVAL 1 MINUTE * (draw // 180 % 300)
            ELSE published_at END AS published_at
    ),
    p.content_hash, p.repeat_key, p.sketch_version, p.sketch, p.bands, p.promotion_marks
FROM (
    SELECT
        *, hash(source, collection, document_id, $seed, 'added') AS draw,
        row_number() OVER (PARTITION BY known_at > $cut ORDER BY known_at DESC, document_id) AS age
    FROM document
) AS d
JOIN pool AS p ON p.number = draw // 100000 % (SELECT count(*) FROM pool)
WHERE draw % 8 = 0 OR age <= 20;

CREATE OR REPLACE TEMP TABLE added_mention AS
SELECT m.* REPLACE (a.document_id AS document_id, a.known_at AS known_at)
FROM mention AS m
JOIN added AS a
    ON m.source = a.source AND m.collection = a.collection
    AND m.document_id = a.origin AND m.known_at = a.origin_known_at;

-- Deletions, other words, words known before, other times of publication.
DELETE FROM document
WHERE known_at > $cut AND hash(source, collection, document_id, $seed) % 8 = 0;

UPDATE document
SET
    content_hash = p.content_hash, repeat_key = p.repeat_key, sketch_version = p.sketch_version,
    sketch = p.sketch, bands = p.bands, promotion_marks = p.promotion_marks
FROM pool AS p
WHERE
    document.known_at > $cut
    AND hash(source, collection, document_id, $seed) % 8 IN (1, 2)
    AND p.number
    = hash(source, collection, document_id, $seed, 'words') % (SELECT count(*) FROM pool);

-- Half of those that say what was said before say it in nearly the same words.
UPDATE document
SET
    content_hash = o.content_hash, sketch_version = o.sketch_version, sketch = o.sketch,
    bands = o.bands, promotion_marks = o.promotion_marks, repeat_key = o.repeat_key || CASE
        WHEN hash(document_id, $seed, 'near') % 2 = 0 THEN '~' ELSE ''
    END
FROM old_words AS o
WHERE
    document.known_at > $cut AND document.source = o.source
    AND hash(document.source, collection, document_id, $seed) % 8 = 3;

UPDATE document
SET published_at = CASE
    WHEN hash(source, collection, document_id, $seed) % 8 = 4 THEN known_at
    ELSE published_at - INTERVAL 1 MINUTE * (hash(document_id, $seed, 'earlier') % 600)
END
WHERE known_at > $cut AND hash(source, collection, document_id, $seed) % 8 IN (4, 5);

DELETE FROM mention
WHERE known_at > $cut AND hash(source, collection, document_id, symbol, $seed) % 8 = 0;

INSERT OR IGNORE INTO mention
SELECT * REPLACE ($market AS symbol)
FROM mention
WHERE known_at > $cut AND hash(source, collection, document_id, $seed, 'market') % 6 = 0;

INSERT OR IGNORE INTO document BY NAME SELECT * EXCLUDE (origin, origin_known_at) FROM added;

INSERT OR IGNORE INTO mention BY NAME SELECT * FROM added_mention;

-- Reactions read after the cut, or nobody knows when: others, and for other texts.
DELETE FROM engagement WHERE read_at IS NULL OR read_at > $cut;

INSERT OR IGNORE INTO engagement
SELECT DISTINCT
    source, collection, document_id, 'unknown' AS reading, NULL::TIMESTAMPTZ AS read_at,
    hash(document_id, $seed, 'likes') % 100000 AS likes,
    hash(document_id, $seed, 'comments') % 1000 AS comments,
    hash(document_id, $seed, 'reposts') % 1000 AS reposts,
    hash(document_id, $seed, 'removed') % 2 = 0 AS removed,
    $cut AS recorded_at, 'audit' AS run_id
FROM document
WHERE hash(document_id, $seed, 'read') % 3 = 0;

-- Crawls end elsewhere after the cut, or never began; new ones begin.
CREATE OR REPLACE TEMP TABLE later_coverage AS
SELECT * FROM coverage WHERE covered_until > $cut;

DELETE FROM coverage WHERE covered_until > $cut;

INSERT OR IGNORE INTO coverage
SELECT * REPLACE (
    $cut + (covered_until - $cut) * (0.1 + hash(collection, $seed) % 80 / 100.0) AS covered_until
)
FROM later_coverage
WHERE covered_from <= $cut;

INSERT OR IGNORE INTO coverage
SELECT * REPLACE (
    '!' || collection AS collection, $cut AS covered_from,
    CASE state WHEN 'crawled' THEN 'partial' ELSE 'crawled' END AS state
)
FROM later_coverage;
