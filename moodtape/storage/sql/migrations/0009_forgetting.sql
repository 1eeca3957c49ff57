CREATE MACRO forgotten_id(source, collection, document_id) AS
    CASE
        WHEN document_id LIKE 'forgotten:%' THEN document_id
        ELSE 'forgotten:' || sha256(concat_ws(chr(31), source, collection, document_id))[:24]
    END;

CREATE TABLE suppressed (
    source VARCHAR NOT NULL,
    what VARCHAR NOT NULL,
    key_hash VARCHAR NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    run_id VARCHAR NOT NULL,
    PRIMARY KEY (source, what, key_hash)
);
COMMENT ON TABLE suppressed IS 'Links and authors whose texts were deleted on request: no text of theirs comes in again.';
COMMENT ON COLUMN suppressed.source IS 'news, reddit or x.';
COMMENT ON COLUMN suppressed.what IS 'url or author.';
COMMENT ON COLUMN suppressed.key_hash IS 'SHA-256 of the link, or of the author''s hash, 24 hex digits.';
COMMENT ON COLUMN suppressed.recorded_at IS 'When it was asked for.';
COMMENT ON COLUMN suppressed.run_id IS 'Run that entered it.';
COMMENT ON COLUMN tombstone.document_id IS 'forgotten: and a hash of the identity at the source, which may itself be a link or a title.';
