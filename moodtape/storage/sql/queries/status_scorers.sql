-- What each scorer has scored of the texts that have words.
WITH worded AS (
    SELECT content_hash
    FROM scored_text
    WHERE text <> ''
),

done AS (
    SELECT c.scorer, count(*) AS scored, count(w.content_hash) AS scored_words
    FROM score AS c
    LEFT JOIN worded AS w USING (content_hash)
    GROUP BY c.scorer
)

SELECT
    s.name, s.scorer, s.trained_until,
    coalesce(d.scored, 0) AS scored,
    (SELECT count(*) FROM worded) - coalesce(d.scored_words, 0) AS unscored
FROM scorer AS s
LEFT JOIN done AS d ON d.scorer = s.scorer
ORDER BY s.name, s.scorer;
