CREATE TABLE host_limit (
    host VARCHAR PRIMARY KEY,
    failures INTEGER NOT NULL,
    rests INTEGER NOT NULL,
    open_until TIMESTAMPTZ,
    free_at TIMESTAMPTZ,
    last_status INTEGER,
    why VARCHAR NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    run_id VARCHAR NOT NULL
);
COMMENT ON TABLE host_limit IS 'Hosts that failed or asked to be left alone, as they stand now; a row changes in place.';
COMMENT ON COLUMN host_limit.host IS 'Name of the host, with its port where that is not the usual one.';
COMMENT ON COLUMN host_limit.failures IS 'Requests in a row that failed, retries included; 0 when it answers again.';
COMMENT ON COLUMN host_limit.rests IS 'How many times in a row it was left alone without answering well between; each is twice as long.';
COMMENT ON COLUMN host_limit.open_until IS 'It is not asked before this; once it is past, one request without retries decides. Null while it answers.';
COMMENT ON COLUMN host_limit.free_at IS 'When the host said that it may be asked again; null if it said nothing.';
COMMENT ON COLUMN host_limit.last_status IS 'HTTP status of the answer that this row is about; null if there was none.';
COMMENT ON COLUMN host_limit.why IS 'Why it is left alone, or what failed; empty when it answers again.';
COMMENT ON COLUMN host_limit.recorded_at IS 'When this was stored.';
COMMENT ON COLUMN host_limit.run_id IS 'Run that stored it.';
