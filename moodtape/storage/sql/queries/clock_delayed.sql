-- Lets all texts and metrics of the rows near a study become known later by $delay, and what
-- tells when texts were watched for with them. A text is no staler than it was.
UPDATE near_document
SET known_at = known_at + $delay, published_at = published_at + $delay;

UPDATE near_mention
SET known_at = known_at + $delay;

UPDATE near_metric
SET known_at = known_at + $delay;

UPDATE near_coverage
SET covered_from = covered_from + $delay, covered_until = covered_until + $delay;

UPDATE near_poll
SET polled_at = polled_at + $delay;
