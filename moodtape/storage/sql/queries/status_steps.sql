-- How each step of the rhythms went last, and when it was last done whole.
SELECT
    rhythm, step, arg_max(state, (slot, attempt)) AS state,
    max(finished_at) FILTER (state IN ('done', 'skipped')) AS last_done,
    arg_max(seconds, (slot, attempt)) AS seconds,
    arg_max(error, (slot, attempt)) FILTER (state <> 'done') AS error,
    min(started_at) AS first_begun,
    count(*) FILTER (state IN ('failed', 'partial')) AS failures
FROM step
GROUP BY rhythm, step
ORDER BY rhythm DESC, min(rowid);
