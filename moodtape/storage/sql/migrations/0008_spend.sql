CREATE TABLE spend (
    call_id VARCHAR PRIMARY KEY,
    provider VARCHAR NOT NULL,
    asked_at TIMESTAMPTZ NOT NULL,
    what VARCHAR NOT NULL,
    units BIGINT NOT NULL,
    micro_usd BIGINT NOT NULL,
    settled_at TIMESTAMPTZ
);
COMMENT ON TABLE spend IS 'Calls that cost money, entered before they are made; it outlives the run, whatever came of it.';
COMMENT ON COLUMN spend.call_id IS 'Name of the call.';
COMMENT ON COLUMN spend.provider IS 'Who is paid: x.';
COMMENT ON COLUMN spend.asked_at IS 'When it was entered; its UTC day and month are the ones that it counts in.';
COMMENT ON COLUMN spend.what IS 'What was asked for.';
COMMENT ON COLUMN spend.units IS 'Paid units: as many as there could be, until it is settled.';
COMMENT ON COLUMN spend.micro_usd IS 'Price in millionths of a US dollar, likewise.';
COMMENT ON COLUMN spend.settled_at IS 'When the answer told what it cost; null where no answer came, then the highest price stands.';
