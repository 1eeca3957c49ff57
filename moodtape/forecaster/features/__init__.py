"""Features: declared inputs, a look-back and a pure function."""
