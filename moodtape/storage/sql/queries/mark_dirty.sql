-- Marks the hours that new revisions change: their own, those of other revisions of the same
-- text, and those in which the words of any of these come again. Reads the temp table versioned.
MERGE INTO dirty_hour AS stored
USING (
    SELECT DISTINCT d.source, d.collection, date_trunc('hour', d.known_at) AS hour
    FROM document AS d
    SEMI JOIN versioned AS v USING (source, collection, document_id)
    UNION
    SELECT DISTINCT d.source, d.collection, date_trunc('hour', d.known_at)
    FROM document AS d
    SEMI JOIN (
        SELECT DISTINCT source, repeat_key
        FROM document
        SEMI JOIN versioned USING (source, collection, document_id)
    ) AS v
        ON d.source = v.source AND d.repeat_key = v.repeat_key
) AS v
ON stored.source = v.source AND stored.collection = v.collection AND stored.hour = v.hour
WHEN NOT MATCHED THEN INSERT;
