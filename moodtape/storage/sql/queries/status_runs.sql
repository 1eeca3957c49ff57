-- The latest commands that wrote.
SELECT run_id, command, status, started_at, finished_at
FROM run
ORDER BY started_at DESC, run_id DESC
LIMIT 10;
