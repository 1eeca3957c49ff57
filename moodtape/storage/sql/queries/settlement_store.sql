-- One answer, entered once.
MERGE INTO settlement AS stored
USING (
    SELECT
        $symbol AS symbol, $interval AS "interval", $cutoff::TIMESTAMPTZ AS cutoff,
        $horizon_bars::INTEGER AS horizon_bars, $model_run AS model_run,
        $due_at::TIMESTAMPTZ AS due_at, $state AS state, $log_return::DOUBLE AS log_return,
        $volatility::DOUBLE AS volatility, $trailing_variance::DOUBLE AS trailing_variance,
        $volatility_before::DOUBLE AS volatility_before, $now::TIMESTAMPTZ AS settled_at,
        $run_id AS run_id
) AS s
ON
    stored.symbol = s.symbol AND stored."interval" = s."interval" AND stored.cutoff = s.cutoff
    AND stored.horizon_bars = s.horizon_bars AND stored.model_run = s.model_run
WHEN NOT MATCHED THEN INSERT;
