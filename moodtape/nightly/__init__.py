"""The two rhythms: every hour without training, every night with it."""
