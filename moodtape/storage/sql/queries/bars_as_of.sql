-- Every version of a series' bars that was known by $as_of; version 1 is the first known.
SELECT
    open_time, close_time, known_at, open, high, low, close, volume, taker_buy_volume,
    row_number() OVER (PARTITION BY open_time ORDER BY known_at) AS version
FROM bar
WHERE
    symbol = $symbol AND venue = $venue AND quote = $quote AND "interval" = $interval
    AND known_at <= $as_of
ORDER BY open_time, known_at;
