"""The warehouse: one DuckDB file, written in short sessions, read as of an instant."""
