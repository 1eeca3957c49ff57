"""Rows from outside: files and, by collectors, the network."""
