"""Entities of HTML, as the standard library reads them, but for those that it stumbles over."""

from __future__ import annotations

import html
import re

_ENDLESS = re.compile(r"&#[0-9]{4000,};?")
"""Python refuses to make a number of more than 4,300 digits; there is no such character."""


def unescape(text: str) -> str:
    """Return text with its entities read.

    >>> unescape("BTC &amp; ETH &#8364;")
    'BTC & ETH €'
    """
    return html.unescape(_ENDLESS.sub("\ufffd", text) if "&#" in text else text)
