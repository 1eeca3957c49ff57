-- Hourly sums over the named kinds of text, all where none is named, of hours that were
-- over by $as_of. Without $promotion, texts that look like promotion are left out.
SELECT
    symbol, source, collection, hour,
    sum(n)::INTEGER AS n,
    sum(n_stale)::INTEGER AS n_stale,
    sum(n_repost)::INTEGER AS n_repost,
    sum(n_negative)::INTEGER AS n_negative,
    sum(n_positive)::INTEGER AS n_positive,
    sum(sum_tone)::BIGINT AS sum_tone,
    sum(sum_tone_squared)::BIGINT AS sum_tone_squared
FROM sentiment_hourly
WHERE
    list_contains($symbols, symbol) AND scorer = $scorer AND list_contains($sources, source)
    AND hour + INTERVAL 1 HOUR <= $as_of
    AND (len($kinds) = 0 OR list_contains($kinds, kind))
    AND ($promotion OR NOT promotion)
GROUP BY symbol, source, collection, hour
ORDER BY symbol, source, collection, hour;
