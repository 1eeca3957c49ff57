-- The newest forecast of each symbol and horizon made by $as_of; of several for the same bar the
-- one made last.
SELECT
    symbol, "interval", horizon_bars, cutoff, decision_time, made_at, late, model_run,
    mean, p_up, volatility, quantiles
FROM forecast
WHERE made_at <= $as_of AND cutoff <= $cutoff_by
QUALIFY row_number() OVER (
    PARTITION BY symbol, "interval", horizon_bars ORDER BY cutoff DESC, made_at DESC, model_run DESC
) = 1
ORDER BY symbol, "interval", horizon_bars;
