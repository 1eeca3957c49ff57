"""Moodtape: does the market's mood help you forecast this coin, or not?"""

__version__ = "0.1.0"
