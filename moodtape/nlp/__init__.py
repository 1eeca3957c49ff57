"""Texts become probabilities: word list, bundled transformer, and how it was made."""
