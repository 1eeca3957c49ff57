ALTER TABLE trial ADD COLUMN claim VARCHAR DEFAULT 'tone';
COMMENT ON COLUMN trial.claim IS 'What was claimed: tone, or attention, the number of texts.';
