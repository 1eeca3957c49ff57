CREATE TABLE run (
    run_id VARCHAR PRIMARY KEY,
    command VARCHAR NOT NULL,
    arguments JSON NOT NULL,
    version VARCHAR NOT NULL,
    started_at TIMESTAMPTZ NOT NULL,
    finished_at TIMESTAMPTZ,
    status VARCHAR NOT NULL,
    counts JSON
);
COMMENT ON TABLE run IS 'One row per command that wrote to the warehouse.';
COMMENT ON COLUMN run.run_id IS 'Name of the run: start time and a random tail.';
COMMENT ON COLUMN run.command IS 'The verb, as typed.';
COMMENT ON COLUMN run.arguments IS 'What the verb was called with; no secrets.';
COMMENT ON COLUMN run.version IS 'Version of Moodtape.';
COMMENT ON COLUMN run.started_at IS 'When the run began.';
COMMENT ON COLUMN run.finished_at IS 'When it ended; null while it runs or if it was killed.';
COMMENT ON COLUMN run.status IS 'started, done, failed or undone.';
COMMENT ON COLUMN run.counts IS 'What it stored, by kind of row.';

CREATE TABLE quarantine (
    run_id VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    place VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    payload VARCHAR NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (source, place, reason, payload)
);
COMMENT ON TABLE quarantine IS 'Rows that could not be used, kept with the reason.';
COMMENT ON COLUMN quarantine.run_id IS 'Run that met the row.';
COMMENT ON COLUMN quarantine.source IS 'File name or collector.';
COMMENT ON COLUMN quarantine.place IS 'Line of the file, or place in the payload.';
COMMENT ON COLUMN quarantine.reason IS 'What was wrong with it.';
COMMENT ON COLUMN quarantine.payload IS 'The row as JSON, cut at 4,096 characters.';
COMMENT ON COLUMN quarantine.recorded_at IS 'When it was set aside.';

CREATE TABLE cursor (
    collector VARCHAR PRIMARY KEY,
    position VARCHAR NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    run_id VARCHAR NOT NULL
);
COMMENT ON TABLE cursor IS 'How far each collector has read; stored with the rows it covers.';
COMMENT ON COLUMN cursor.collector IS 'Name of the collector.';
COMMENT ON COLUMN cursor.position IS 'Opaque position, written by the collector.';
COMMENT ON COLUMN cursor.recorded_at IS 'When the position was stored.';
COMMENT ON COLUMN cursor.run_id IS 'Run that stored it.';

CREATE TABLE coverage (
    source VARCHAR NOT NULL,
    collection VARCHAR NOT NULL,
    covered_from TIMESTAMPTZ NOT NULL,
    covered_until TIMESTAMPTZ NOT NULL,
    state VARCHAR NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    run_id VARCHAR NOT NULL,
    PRIMARY KEY (source, collection, covered_from, covered_until, state)
);
COMMENT ON TABLE coverage IS 'When each text collection was watched, and how well.';
COMMENT ON COLUMN coverage.source IS 'news, reddit or x.';
COMMENT ON COLUMN coverage.collection IS 'Feed set or data set.';
COMMENT ON COLUMN coverage.covered_from IS 'Start of the stretch, by known_at.';
COMMENT ON COLUMN coverage.covered_until IS 'End of the stretch, exclusive.';
COMMENT ON COLUMN coverage.state IS 'crawled: an empty hour had no text. partial: an empty hour is unknown.';
COMMENT ON COLUMN coverage.recorded_at IS 'When this was stored.';
COMMENT ON COLUMN coverage.run_id IS 'Run that stored it.';

CREATE TABLE meta (
    name VARCHAR PRIMARY KEY,
    value VARCHAR NOT NULL
);
COMMENT ON TABLE meta IS 'Facts about the warehouse itself.';
COMMENT ON COLUMN meta.name IS 'Name of the fact.';
COMMENT ON COLUMN meta.value IS 'Its value.';

CREATE TABLE tombstone (
    source VARCHAR NOT NULL,
    collection VARCHAR NOT NULL,
    document_id VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    run_id VARCHAR NOT NULL,
    PRIMARY KEY (source, collection, document_id)
);
COMMENT ON TABLE tombstone IS 'Texts that were deleted on request; they never come back.';
COMMENT ON COLUMN tombstone.source IS 'news, reddit or x.';
COMMENT ON COLUMN tombstone.collection IS 'Feed set or data set.';
COMMENT ON COLUMN tombstone.document_id IS 'Identity of the text at its source.';
COMMENT ON COLUMN tombstone.reason IS 'Why it was deleted.';
COMMENT ON COLUMN tombstone.recorded_at IS 'When it was deleted.';
COMMENT ON COLUMN tombstone.run_id IS 'Run that deleted it.';
