"""A run becomes a page that a person can read, and tables that a program can."""
