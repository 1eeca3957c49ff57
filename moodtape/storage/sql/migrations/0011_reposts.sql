ALTER TABLE document ADD COLUMN sketch_version VARCHAR;
ALTER TABLE document ADD COLUMN sketch UBIGINT[];
ALTER TABLE document ADD COLUMN bands UINTEGER[];
COMMENT ON COLUMN document.sketch_version IS 'Rule by which sketch and bands were made; others are not compared with them.';
COMMENT ON COLUMN document.sketch IS 'One bit of each of 256 MinHash permutations of the words: the share of equal bits tells how alike two texts are. Null for texts of few words.';
COMMENT ON COLUMN document.bands IS 'Keys of which two near texts share at least one, and texts that differ in a number, name or direction none.';

CREATE TABLE repost (
    source VARCHAR NOT NULL,
    collection VARCHAR NOT NULL,
    document_id VARCHAR NOT NULL,
    told_at TIMESTAMPTZ NOT NULL,
    of_collection VARCHAR NOT NULL,
    of_document_id VARCHAR NOT NULL,
    of_told_at TIMESTAMPTZ NOT NULL,
    similarity DOUBLE NOT NULL,
    PRIMARY KEY (source, collection, document_id, told_at)
);
COMMENT ON TABLE repost IS 'Texts that tell again what a text of the same source told before; the first of such a chain is the one that counts.';
COMMENT ON COLUMN repost.source IS 'news, reddit or x.';
COMMENT ON COLUMN repost.collection IS 'Feed set or data set of the repost.';
COMMENT ON COLUMN repost.document_id IS 'Identity of the repost.';
COMMENT ON COLUMN repost.told_at IS 'When its first revision became known.';
COMMENT ON COLUMN repost.of_collection IS 'Feed set or data set of the earlier text.';
COMMENT ON COLUMN repost.of_document_id IS 'Identity of the earlier text: the most similar one, of equals the latest known.';
COMMENT ON COLUMN repost.of_told_at IS 'When the earlier text became known.';
COMMENT ON COLUMN repost.similarity IS 'How alike their words are, 0 to 1; 1 for the same words.';

-- How alike the words of two sketches are: twice the share of equal bits, less one.
CREATE MACRO similarity(a, b) AS
    1 - (bit_count(xor(a[1], b[1])) + bit_count(xor(a[2], b[2])) + bit_count(xor(a[3], b[3]))
        + bit_count(xor(a[4], b[4])))::DOUBLE / 128;

-- Equal words as one more key, beyond those of 32 bits.
CREATE MACRO word_key(repeat_key) AS (hash(repeat_key) >> 1) | 4611686018427387904::UBIGINT;
