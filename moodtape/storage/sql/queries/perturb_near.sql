-- The rows that a study can see, as temp tables near_bar, near_document ...: the material of
-- a scratch warehouse in which an audit changes the future. Words of texts stay behind: their
-- hashes and scores come along, and nothing else reads them. With $by_publication, texts come along
-- that were published in the stretch and known at another time.
CREATE OR REPLACE TEMP TABLE near_bar AS
SELECT *
FROM bar
WHERE list_contains($symbols, symbol) AND "interval" = $interval
    AND open_time < $bars_until AND known_at <= $as_of;

CREATE OR REPLACE TEMP TABLE near_metric AS
SELECT *
FROM metric
WHERE
    (list_contains($symbols, symbol) OR symbol = $market)
    AND list_contains($metrics, metric) AND known_at <= $as_of;

CREATE OR REPLACE TEMP TABLE near_document AS
SELECT * REPLACE (
    NULL::VARCHAR AS outlet, NULL::VARCHAR AS author_hash, NULL::VARCHAR AS url,
    NULL::VARCHAR AS title, NULL::VARCHAR AS body, NULL::VARCHAR AS categories
)
FROM document
SEMI JOIN (
    SELECT DISTINCT source, collection, document_id
    FROM document
    WHERE
        (known_at >= $texts_from AND known_at < $texts_until)
        OR ($by_publication AND published_at >= $texts_from AND published_at < $texts_until)
) USING (source, collection, document_id);

CREATE OR REPLACE TEMP TABLE near_mention AS
SELECT * FROM mention SEMI JOIN near_document USING (source, collection, document_id, known_at);

CREATE OR REPLACE TEMP TABLE near_engagement AS
SELECT * FROM engagement SEMI JOIN near_document USING (source, collection, document_id);

CREATE OR REPLACE TEMP TABLE near_score AS
SELECT * FROM score SEMI JOIN near_document USING (content_hash) WHERE scorer = $scorer;

CREATE OR REPLACE TEMP TABLE near_kind AS
SELECT * FROM kind SEMI JOIN near_document USING (content_hash);

CREATE OR REPLACE TEMP TABLE near_coverage AS
SELECT * FROM coverage;

CREATE OR REPLACE TEMP TABLE near_poll AS
SELECT * FROM poll WHERE polled_at >= $texts_from AND polled_at < $texts_until;
