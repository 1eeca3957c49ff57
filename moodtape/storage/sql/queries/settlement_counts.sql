-- Forecasts by what became of them: settled in time or late, void, or still waiting.
SELECT
    CASE WHEN s.state IS NULL THEN 'waiting' WHEN s.state = 'void' THEN 'void'
        WHEN f.late THEN 'late' ELSE 'live' END AS state,
    count(*) AS forecasts
FROM forecast AS f
LEFT JOIN settlement AS s USING (symbol, "interval", cutoff, horizon_bars, model_run)
GROUP BY ALL
ORDER BY 1;
