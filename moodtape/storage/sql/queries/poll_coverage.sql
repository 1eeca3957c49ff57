-- What the polls of one run cover. A stretch begins at the end of the round before, if that was
-- good and not longer ago than $max_gap_us, and where it continues one that is covered it
-- takes that one's start, so that hours between polls lie whole inside a stretch.
--
-- A round is crawled when every stream answered in full, partial when some did. A round in
-- which none did covers nothing.
MERGE INTO coverage AS stored
USING (
    WITH latest AS (
        SELECT stream, state IN ('ok', 'empty') AS is_good, polled_at
        FROM poll
        WHERE collector = $collector AND run_id = $run_id
        QUALIFY row_number() OVER (PARTITION BY stream ORDER BY polled_at DESC) = 1
    ),

    this_round AS (
        SELECT bool_and(is_good) AS is_whole, max(polled_at) FILTER (is_good) AS ended
        FROM latest
    ),

    round_before AS (
        SELECT max(polled_at) FILTER (state IN ('ok', 'empty')) AS ended
        FROM poll
        WHERE collector = $collector AND run_id <> $run_id
    ),

    stretch AS (
        SELECT
            b.ended AS covered_from, t.ended AS covered_until,
            CASE WHEN t.is_whole THEN 'crawled' ELSE 'partial' END AS state
        FROM this_round AS t, round_before AS b
        WHERE epoch_us(t.ended) - epoch_us(b.ended) BETWEEN 1 AND $max_gap_us
    )

    SELECT
        $source AS source, $collection AS collection,
        coalesce(min(c.covered_from), any_value(s.covered_from)) AS covered_from,
        s.covered_until, s.state, $now AS recorded_at, $run_id AS run_id
    FROM stretch AS s
    LEFT JOIN coverage AS c
        ON c.source = $source AND c.collection = $collection
        AND c.state = s.state AND c.covered_until = s.covered_from
    GROUP BY s.covered_until, s.state
) AS v
ON
    stored.source = v.source AND stored.collection = v.collection AND stored.state = v.state
    AND stored.covered_from = v.covered_from AND stored.covered_until = v.covered_until
WHEN NOT MATCHED THEN INSERT;
