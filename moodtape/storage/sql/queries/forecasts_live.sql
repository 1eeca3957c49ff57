-- Forecasts that were made in time, with answers known by $as_of. Of several for the same bar
-- the one made first counts: what was said later may know more.
SELECT
    f.symbol, f."interval", f.horizon_bars, f.cutoff, s.due_at, f.model_run,
    coalesce(f.mean, (f.quantiles->>'0.5')::DOUBLE) AS mean, f.p_up, f.volatility,
    s.log_return, s.volatility AS realised, s.trailing_variance, s.volatility_before
FROM forecast AS f
JOIN settlement AS s USING (symbol, "interval", cutoff, horizon_bars, model_run)
WHERE NOT f.late AND s.state = 'settled' AND s.due_at <= $as_of
QUALIFY row_number() OVER (
    PARTITION BY f.symbol, f."interval", f.horizon_bars, f.cutoff ORDER BY f.made_at, f.model_run
) = 1
ORDER BY f.symbol, f."interval", f.horizon_bars, f.cutoff;
