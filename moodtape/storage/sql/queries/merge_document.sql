-- Takes staged texts in. A text that differs from its newest stored revision becomes a
-- further revision, known at its own stamp if it has one, else at $now. So does the same text
-- with a stamp of its own before the first: whichever copy comes first, the hours are the same.
-- Texts that were forgotten do not come back. Every hour that changes is marked dirty.
-- Revisions known after $as_of are left out of the comparison.
-- Without a $coverage_state these rows cover nothing: a collector's polls do.
CREATE OR REPLACE TEMP TABLE welcome AS
SELECT * EXCLUDE (sketch, bands)
FROM read_parquet($path) AS i
WHERE
    NOT EXISTS (
        SELECT 1
        FROM tombstone AS t
        WHERE
            t.source = i.source AND t.collection = i.collection
            AND t.document_id = forgotten_id(i.source, i.collection, i.document_id)
    )
    AND NOT EXISTS (
        SELECT 1
        FROM suppressed AS s
        WHERE
            s.source = i.source
            AND s.key_hash = sha256(CASE s.what WHEN 'url' THEN i.url ELSE i.author_hash END)[:24]
    );

CREATE OR REPLACE TEMP TABLE incoming AS
WITH one_per_stamp AS (
    SELECT *
    FROM welcome
    QUALIFY row_number() OVER (
        PARTITION BY source, collection, document_id, known_at
        ORDER BY
            (title IS NOT NULL)::INT + (body IS NOT NULL)::INT + (url IS NOT NULL)::INT
            + (outlet IS NOT NULL)::INT + (author_hash IS NOT NULL)::INT DESC,
            length(concat(title, body)) DESC,
            line DESC
    ) = 1
)
SELECT
    *,
    assumed AND row_number() OVER (
        PARTITION BY source, collection, document_id, assumed ORDER BY known_at DESC
    ) > 1 AS is_superseded
FROM one_per_stamp
QUALIFY (title, body) IS DISTINCT FROM lag((title, body)) OVER (
    PARTITION BY source, collection, document_id ORDER BY known_at
);

CREATE OR REPLACE TEMP TABLE newest AS
SELECT
    d.source, d.collection, d.document_id, d.known_at, d.title, d.body,
    min(d.known_at) OVER (PARTITION BY source, collection, document_id) AS first_known_at
FROM document AS d
SEMI JOIN incoming USING (source, collection, document_id)
WHERE d.known_at <= $as_of
QUALIFY row_number() OVER (
    PARTITION BY source, collection, document_id ORDER BY known_at DESC
) = 1;

CREATE OR REPLACE TEMP TABLE versioned AS
SELECT
    i.* EXCLUDE (is_superseded) REPLACE (
        CASE
            WHEN s.known_at IS NULL THEN i.known_at
            WHEN NOT i.assumed AND p.known_at IS NULL THEN i.known_at
            ELSE greatest($now, s.known_at + INTERVAL 1 MICROSECOND)
        END AS known_at
    ),
    s.known_at IS NOT NULL AS is_correction
FROM incoming AS i
LEFT JOIN newest AS s USING (source, collection, document_id)
LEFT JOIN document AS p
    ON p.source = i.source AND p.collection = i.collection
    AND p.document_id = i.document_id AND p.known_at = i.known_at
WHERE
    (
        s.known_at IS NULL
        OR ((i.title, i.body) IS DISTINCT FROM (s.title, s.body) AND NOT i.is_superseded)
        OR (NOT i.assumed AND i.known_at < s.first_known_at)
    )
    AND (p.known_at IS NULL OR (i.title, i.body) IS DISTINCT FROM (p.title, p.body));

MERGE INTO document AS stored
USING (
    SELECT
        source, collection, document_id, known_at, published_at, date_only,
        $backfilled AS backfilled, assumed, outlet, form, author_hash, url, title, body,
        categories, content_hash, repeat_key, $now AS recorded_at, $run_id AS run_id,
        sketch_version, s.sketch, s.bands
    FROM versioned
    JOIN (SELECT line, sketch, bands FROM read_parquet($path)) AS s USING (line)
) AS v
ON
    stored.source = v.source AND stored.collection = v.collection
    AND stored.document_id = v.document_id AND stored.known_at = v.known_at
WHEN NOT MATCHED THEN INSERT BY NAME;

MERGE INTO scored_text AS stored
USING (
    SELECT content_hash, $text_version AS text_version, any_value(text) AS text,
        $now AS recorded_at, $run_id AS run_id
    FROM versioned
    GROUP BY content_hash
) AS v
ON stored.content_hash = v.content_hash
WHEN MATCHED AND stored.text = '' THEN UPDATE SET text = v.text
WHEN NOT MATCHED THEN INSERT;

MERGE INTO mention AS stored
USING (
    SELECT v.source, v.collection, v.document_id, v.known_at, m.symbol, m.how,
        CASE WHEN m.how = 'declared' THEN '' ELSE $alias_version END AS alias_version,
        $now AS recorded_at, $run_id AS run_id
    FROM read_parquet($mentions) AS m
    JOIN versioned AS v USING (line)
) AS v
ON
    stored.source = v.source AND stored.collection = v.collection
    AND stored.document_id = v.document_id AND stored.known_at = v.known_at
    AND stored.symbol = v.symbol
WHEN NOT MATCHED THEN INSERT;

MERGE INTO engagement AS stored
USING (
    SELECT source, collection, document_id, 'unknown' AS reading, NULL::TIMESTAMPTZ AS read_at,
        max(likes) AS likes, max(comments) AS comments, max(reposts) AS reposts,
        bool_or(removed) AS removed, $now AS recorded_at, $run_id AS run_id
    FROM read_parquet($engagement)
    SEMI JOIN welcome USING (source, collection, document_id)
    GROUP BY ALL
) AS v
ON
    stored.source = v.source AND stored.collection = v.collection
    AND stored.document_id = v.document_id AND stored.reading = v.reading
WHEN NOT MATCHED THEN INSERT;

MERGE INTO coverage AS stored
USING (
    SELECT source, collection, min(known_at) AS covered_from, max(known_at) AS covered_until,
        $coverage_state::VARCHAR AS state, $now AS recorded_at, $run_id AS run_id
    FROM read_parquet($path)
    WHERE $coverage_state::VARCHAR IS NOT NULL
    GROUP BY source, collection
) AS v
ON
    stored.source = v.source AND stored.collection = v.collection AND stored.state = v.state
    AND stored.covered_from = v.covered_from AND stored.covered_until = v.covered_until
WHEN NOT MATCHED THEN INSERT;
