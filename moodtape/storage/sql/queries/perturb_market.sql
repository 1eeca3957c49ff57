-- Changes what became known of bars and metrics after $cut, and nothing known by then.
-- Every draw is a hash of the row and $seed, so that it does not depend on the order of rows.
CREATE OR REPLACE TEMP TABLE last_bar AS
SELECT symbol, venue, quote, "interval", max(open_time) AS open_time
FROM bar
GROUP BY ALL;

-- Holes. The last bar of a series stays, so that the grid of bars keeps its end.
DELETE FROM bar
WHERE
    known_at > $cut AND hash(symbol, venue, open_time, $seed) % 20 = 0
    AND (symbol, venue, quote, "interval", open_time) NOT IN (
        SELECT (symbol, venue, quote, "interval", open_time) FROM last_bar
    );

-- Other prices, one bar in eight a thousand times higher or lower; other volumes or none.
UPDATE bar
SET
    open = open * b.factor, close = close * b.factor * b.tilt,
    high = greatest(open, high, close, close * b.tilt) * b.factor * (1 + b.spread),
    low = least(open, low, close, close * b.tilt) * b.factor * (1 - b.spread),
    volume = CASE b.draw % 8 WHEN 3 THEN NULL ELSE volume * b.factor * b.factor + 1 END,
    quote_volume = CASE b.draw % 8 WHEN 3 THEN NULL ELSE quote_volume * b.factor + 1 END,
    trades = CASE b.draw % 8 WHEN 3 THEN NULL ELSE trades + 1 END,
    taker_buy_volume = CASE b.draw % 8 WHEN 4 THEN NULL ELSE taker_buy_volume * b.factor + 1 END
FROM (
    SELECT
        symbol, venue, quote, "interval", open_time, known_at, draw,
        (0.5 + draw % 1000 / 1000.0) * CASE draw % 16 WHEN 5 THEN 1000 WHEN 6 THEN 0.001 ELSE 1 END
        AS factor,
        0.9 + draw // 1000 % 200 / 1000.0 AS tilt,
        0.001 + draw // 100000 % 100 / 1000.0 AS spread
    FROM (
        SELECT *, hash(symbol, venue, open_time, known_at, $seed, 'price') AS draw
        FROM bar
        WHERE known_at > $cut
    )
) AS b
WHERE
    bar.symbol = b.symbol AND bar.venue = b.venue AND bar.quote = b.quote
    AND bar."interval" = b."interval" AND bar.open_time = b.open_time
    AND bar.known_at = b.known_at;

-- Corrections of old bars, the newest among them, that come after the cut: half at once, half
-- seven hours later. Few instants, since each new one makes a dataset compute afresh.
INSERT OR IGNORE INTO bar
SELECT * EXCLUDE (age) REPLACE (
    $cut + CASE hash(open_time, $seed) % 2 WHEN 0 THEN INTERVAL 1 SECOND ELSE INTERVAL 7 HOUR END
    AS known_at,
    open * 1.5 AS open, high * 1.7 AS high, low * 1.3 AS low,
    close * (1.4 + hash(open_time, $seed, 'close') % 200 / 1000.0) AS close,
    volume * 3 + 1 AS volume, taker_buy_volume * 2 + 1 AS taker_buy_volume
)
FROM (
    SELECT *, row_number() OVER (
        PARTITION BY symbol, venue, quote, "interval" ORDER BY open_time DESC, known_at DESC
    ) AS age
    FROM bar
    WHERE known_at <= $cut
)
WHERE age <= 12 OR hash(open_time, $seed, 'correction') % 10 = 0;

-- The same bar once more.
INSERT OR IGNORE INTO bar
SELECT * REPLACE ((SELECT max(close_time) FROM bar) AS known_at)
FROM bar
WHERE known_at > $cut AND hash(open_time, $seed, 'again') % 10 = 0;

-- Values that never come; the second after the cut is one of them.
DELETE FROM metric
WHERE known_at > $cut AND (
    hash(provider, metric, period_end, $seed) % 10 = 0
    OR (provider, symbol, metric, known_at) IN (
        SELECT (provider, symbol, metric, known_at)
        FROM metric
        WHERE known_at > $cut
        QUALIFY row_number() OVER (PARTITION BY provider, symbol, metric ORDER BY known_at) = 2
    )
);

UPDATE metric
SET value = (value + 1) * (2 + hash(provider, metric, period_end, known_at, $seed) % 1000 / 1000.0)
    * CASE hash(provider, metric, period_end, $seed, 'extreme') % 12 WHEN 0 THEN -1e6 ELSE 1 END
WHERE known_at > $cut;

-- Restatements of periods that were known.
INSERT OR IGNORE INTO metric
SELECT * EXCLUDE (age) REPLACE (
    $cut + INTERVAL 1 SECOND * (1 + hash(period_end, $seed) % 20000) AS known_at,
    (value + 1) * 3 AS value
)
FROM (
    SELECT *, row_number() OVER (
        PARTITION BY provider, symbol, metric ORDER BY period_end DESC, known_at DESC
    ) AS age
    FROM metric
    WHERE known_at <= $cut
)
WHERE age <= 5 OR hash(provider, metric, period_end, $seed, 'restated') % 4 = 0;
