-- What each scorer has scored of the texts that have words.
SELECT
    s.name, s.scorer, s.trained_until,
    (SELECT count(*) FROM score AS c WHERE c.scorer = s.scorer) AS scored,
    (
        SELECT count(*) FROM scored_text AS t
        WHERE t.text <> '' AND NOT EXISTS (
            SELECT 1 FROM score AS c WHERE c.scorer = s.scorer AND c.content_hash = t.content_hash
        )
    ) AS unscored
FROM scorer AS s
ORDER BY s.name, s.scorer;
