ALTER TABLE simulation ADD COLUMN return_days DATE[];
ALTER TABLE simulation ADD COLUMN daily_returns DOUBLE[];
COMMENT ON COLUMN simulation.return_days IS 'Days of the returns, in order; missing in rows of before they were kept.';
COMMENT ON COLUMN simulation.daily_returns IS 'Net return of each of these days.';
