"""The verdict measured: how often it is wrong on worlds whose truth is known."""
