-- Forecasts made by $as_of that have no answer yet.
SELECT symbol, "interval", cutoff, horizon_bars, model_run, venue, quote
FROM forecast
ANTI JOIN settlement USING (symbol, "interval", cutoff, horizon_bars, model_run)
WHERE made_at <= $as_of
ORDER BY symbol, "interval", venue, quote, cutoff, horizon_bars, model_run;
