"""Why there was no answer, in few words, and whether that says anything about the host."""

from __future__ import annotations

import requests

_SIGNS = {
    "NameResolution": "there is no such host, or no network",
    "unreachable": "no network leads there",
    "refused": "nothing listens there",
    "reset": "it broke the connection off",
    "IncompleteRead": "it broke off in the middle",
    "RemoteDisconnected": "it hung up",
    "ended early": "it broke off in the middle",
}
_OUR_NETWORK = ("NameResolution", "unreachable")


def why_silent(failure: Exception) -> str:
    """Return in few words why there was no answer; the library's own text may hold the query."""
    if isinstance(failure, requests.Timeout):
        return "it took too long"
    if isinstance(failure, requests.exceptions.SSLError):
        return "its certificate is not good"
    if isinstance(failure, requests.exceptions.ProxyError):
        return "the proxy refused"
    told = str(failure)
    for sign, words in _SIGNS.items():
        if sign in told:
            return words
    return "the connection broke"


def is_its_own(failure: Exception) -> bool:
    """Say whether a silence is the host's own.

    Without a network, behind a proxy that says no, or behind the door of a hotel, every host
    is silent or shows a wrong certificate; leaving them all alone would outlast the trouble.
    """
    if isinstance(failure, requests.exceptions.SSLError | requests.exceptions.ProxyError):
        return False
    return not any(sign in str(failure) for sign in _OUR_NETWORK)
