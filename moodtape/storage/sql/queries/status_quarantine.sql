-- Rows that could not be used, by file and reason.
SELECT source, reason, count(*) AS "rows"
FROM quarantine
GROUP BY source, reason
ORDER BY 3 DESC, 1, 2;
