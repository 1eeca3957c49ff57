CREATE TABLE recheck (
    source VARCHAR NOT NULL,
    document_id VARCHAR NOT NULL,
    checked_at TIMESTAMPTZ NOT NULL,
    run_id VARCHAR NOT NULL,
    PRIMARY KEY (source, document_id)
);
COMMENT ON TABLE recheck IS 'When a post was last seen at its source; a row changes in place, and goes when the post is forgotten.';
COMMENT ON COLUMN recheck.source IS 'reddit or x.';
COMMENT ON COLUMN recheck.document_id IS 'Identity of the post.';
COMMENT ON COLUMN recheck.checked_at IS 'When its source said that it is still there.';
COMMENT ON COLUMN recheck.run_id IS 'Run that asked.';
