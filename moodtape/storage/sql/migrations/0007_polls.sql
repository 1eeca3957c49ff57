CREATE TABLE poll (
    collector VARCHAR NOT NULL,
    stream VARCHAR NOT NULL,
    polled_at TIMESTAMPTZ NOT NULL,
    state VARCHAR NOT NULL,
    items BIGINT NOT NULL,
    detail VARCHAR NOT NULL,
    run_id VARCHAR NOT NULL,
    PRIMARY KEY (collector, stream, polled_at)
);
COMMENT ON TABLE poll IS 'Every question that was put to a source, and how it ended.';
COMMENT ON COLUMN poll.collector IS 'Name of the collector.';
COMMENT ON COLUMN poll.stream IS 'What was asked: a feed, a pair, an asset.';
COMMENT ON COLUMN poll.polled_at IS 'When the answer, or none, was there.';
COMMENT ON COLUMN poll.state IS 'ok. empty: nothing new. capped: more may have come than the source shows. down: no answer. refused: an answer that is none. unreadable: an answer cut or garbled.';
COMMENT ON COLUMN poll.items IS 'Rows that the answer held and that were not there at the last poll.';
COMMENT ON COLUMN poll.detail IS 'Why it failed; empty otherwise.';
COMMENT ON COLUMN poll.run_id IS 'Run that asked.';
