CREATE TABLE document (
    source VARCHAR NOT NULL,
    collection VARCHAR NOT NULL,
    document_id VARCHAR NOT NULL,
    known_at TIMESTAMPTZ NOT NULL,
    published_at TIMESTAMPTZ NOT NULL,
    date_only BOOLEAN NOT NULL,
    backfilled BOOLEAN NOT NULL,
    assumed BOOLEAN NOT NULL,
    outlet VARCHAR,
    form VARCHAR NOT NULL,
    author_hash VARCHAR,
    url VARCHAR,
    title VARCHAR,
    body VARCHAR,
    categories VARCHAR,
    content_hash VARCHAR NOT NULL,
    repeat_key VARCHAR,
    recorded_at TIMESTAMPTZ NOT NULL,
    run_id VARCHAR NOT NULL,
    PRIMARY KEY (source, collection, document_id, known_at)
);
COMMENT ON TABLE document IS 'Texts, cleaned; a changed text is a further row, and only the first revision counts as news.';
COMMENT ON COLUMN document.source IS 'news, reddit or x.';
COMMENT ON COLUMN document.collection IS 'Feed set or data set that it came through.';
COMMENT ON COLUMN document.document_id IS 'Identity at its source.';
COMMENT ON COLUMN document.known_at IS 'When a collector first held this revision.';
COMMENT ON COLUMN document.published_at IS 'When the source says it was published.';
COMMENT ON COLUMN document.date_only IS 'News published at an exact midnight: a bare date, that is, some time that day.';
COMMENT ON COLUMN document.backfilled IS 'True where the text came from an archive.';
COMMENT ON COLUMN document.assumed IS 'True where known_at is publication plus an assumed delay.';
COMMENT ON COLUMN document.outlet IS 'Publisher, feed or subreddit.';
COMMENT ON COLUMN document.form IS 'article, post, comment or tweet.';
COMMENT ON COLUMN document.author_hash IS 'Hash of the author''s name, where there is one.';
COMMENT ON COLUMN document.url IS 'Link, http or https only.';
COMMENT ON COLUMN document.title IS 'Title, cleaned.';
COMMENT ON COLUMN document.body IS 'Summary or body, cleaned and cut.';
COMMENT ON COLUMN document.categories IS 'Labels of the source, separated by |.';
COMMENT ON COLUMN document.content_hash IS 'Hash of the exact string that is scored.';
COMMENT ON COLUMN document.repeat_key IS 'Equal for the same words; null for remarks too short to be reposts.';
COMMENT ON COLUMN document.recorded_at IS 'When the row was stored here.';
COMMENT ON COLUMN document.run_id IS 'Run that stored it.';

CREATE TABLE scored_text (
    content_hash VARCHAR PRIMARY KEY,
    text_version VARCHAR NOT NULL,
    text VARCHAR NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    run_id VARCHAR NOT NULL
);
COMMENT ON TABLE scored_text IS 'The exact strings that scorers read, once each.';
COMMENT ON COLUMN scored_text.content_hash IS 'SHA-256 of text_version and text, 32 hex digits.';
COMMENT ON COLUMN scored_text.text_version IS 'Version of the rule that makes the string from a document.';
COMMENT ON COLUMN scored_text.text IS 'News: the title. Posts: title and body, cut.';
COMMENT ON COLUMN scored_text.recorded_at IS 'When the row was stored here.';
COMMENT ON COLUMN scored_text.run_id IS 'Run that stored it.';

CREATE TABLE mention (
    source VARCHAR NOT NULL,
    collection VARCHAR NOT NULL,
    document_id VARCHAR NOT NULL,
    known_at TIMESTAMPTZ NOT NULL,
    symbol VARCHAR NOT NULL,
    how VARCHAR NOT NULL,
    alias_version VARCHAR NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    run_id VARCHAR NOT NULL,
    PRIMARY KEY (source, collection, document_id, known_at, symbol)
);
COMMENT ON TABLE mention IS 'Which assets a text is about.';
COMMENT ON COLUMN mention.source IS 'news, reddit or x.';
COMMENT ON COLUMN mention.collection IS 'Feed set or data set.';
COMMENT ON COLUMN mention.document_id IS 'Identity of the text.';
COMMENT ON COLUMN mention.known_at IS 'Revision of the text.';
COMMENT ON COLUMN mention.symbol IS 'The asset, or MARKET for texts about none in particular.';
COMMENT ON COLUMN mention.how IS 'declared, name, ticker, cashtag, outlet or none.';
COMMENT ON COLUMN mention.alias_version IS 'Version of the alias table; declared symbols need none.';
COMMENT ON COLUMN mention.recorded_at IS 'When the row was stored here.';
COMMENT ON COLUMN mention.run_id IS 'Run that stored it.';

CREATE TABLE engagement (
    source VARCHAR NOT NULL,
    collection VARCHAR NOT NULL,
    document_id VARCHAR NOT NULL,
    reading VARCHAR NOT NULL,
    read_at TIMESTAMPTZ,
    likes BIGINT,
    comments BIGINT,
    reposts BIGINT,
    removed BOOLEAN,
    recorded_at TIMESTAMPTZ NOT NULL,
    run_id VARCHAR NOT NULL,
    PRIMARY KEY (source, collection, document_id, reading)
);
COMMENT ON TABLE engagement IS 'Reactions to a text as read at one moment. Readings without a time, and removed flags, are never features.';
COMMENT ON COLUMN engagement.source IS 'news, reddit or x.';
COMMENT ON COLUMN engagement.collection IS 'Feed set or data set.';
COMMENT ON COLUMN engagement.document_id IS 'Identity of the text.';
COMMENT ON COLUMN engagement.reading IS 'The time of reading, or unknown.';
COMMENT ON COLUMN engagement.read_at IS 'When it was read; null where the archive does not say.';
COMMENT ON COLUMN engagement.likes IS 'Likes, or votes up less votes down.';
COMMENT ON COLUMN engagement.comments IS 'Number of answers.';
COMMENT ON COLUMN engagement.reposts IS 'Number of reposts.';
COMMENT ON COLUMN engagement.removed IS 'Whether the text had been removed by then.';
COMMENT ON COLUMN engagement.recorded_at IS 'When the row was stored here.';
COMMENT ON COLUMN engagement.run_id IS 'Run that stored it.';
