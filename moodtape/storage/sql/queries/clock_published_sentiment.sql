-- The wishful clock: a text counts as known when its source says that it was published, whenever
-- a collector came to hold it. The first revision alone counts as news, so it alone stays.
CREATE OR REPLACE TEMP TABLE first_revision AS
SELECT source, collection, document_id, min(known_at) AS known_at
FROM near_document
GROUP BY ALL
HAVING min(known_at) <= $as_of;

CREATE OR REPLACE TEMP TABLE near_mention AS
SELECT m.* REPLACE (d.published_at AS known_at)
FROM near_mention AS m
JOIN first_revision USING (source, collection, document_id, known_at)
JOIN near_document AS d USING (source, collection, document_id, known_at);

CREATE OR REPLACE TEMP TABLE near_document AS
SELECT * REPLACE (published_at AS known_at)
FROM near_document
SEMI JOIN first_revision USING (source, collection, document_id, known_at);
