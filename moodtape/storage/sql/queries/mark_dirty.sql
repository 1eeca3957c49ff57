-- Marks the hours of every revision of the texts in the temp table versioned. Leaves the temp
-- tables touched, their revisions, and moved, the texts whose first one comes or goes.
CREATE OR REPLACE TEMP TABLE touched AS
SELECT source, collection, document_id, known_at, repeat_key, bands
FROM document
SEMI JOIN versioned USING (source, collection, document_id);

MERGE INTO dirty_hour AS stored
USING (
    SELECT DISTINCT source, collection, date_trunc('hour', known_at) AS hour FROM touched
) AS v
ON stored.source = v.source AND stored.collection = v.collection AND stored.hour = v.hour
WHEN NOT MATCHED THEN INSERT;

CREATE OR REPLACE TEMP TABLE moved AS
SELECT source, collection, document_id, min(known_at) AS known_at
FROM touched
GROUP BY source, collection, document_id
HAVING (source, collection, document_id, min(known_at)) IN (
    SELECT (source, collection, document_id, known_at) FROM versioned
);
