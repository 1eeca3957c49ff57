-- Changes how polls after $cut ended: other states, some gone, others added. Every draw is a
-- hash of the row and $seed.
CREATE OR REPLACE TEMP TABLE later_poll AS
SELECT *, hash(collector, stream, polled_at, $seed) AS draw FROM poll WHERE polled_at > $cut;

DELETE FROM poll WHERE polled_at > $cut;

INSERT INTO poll BY NAME
SELECT * EXCLUDE (draw) REPLACE (
    ['ok', 'empty', 'capped', 'down', 'refused', 'unreadable'][(draw // 8 % 6)::BIGINT + 1] AS state,
    0 AS items, '' AS detail
)
FROM later_poll
WHERE draw % 8 <> 0;

INSERT OR IGNORE INTO poll BY NAME
SELECT * EXCLUDE (draw) REPLACE (
    $cut + INTERVAL 1 MINUTE * (1 + draw % 180)::BIGINT AS polled_at, 'down' AS state, '!' AS stream
)
FROM later_poll
WHERE draw % 4 = 1;
