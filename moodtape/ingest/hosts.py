"""Which hosts may be asked: public ones, and private ones that the config names."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

from moodtape.errors import CouldNotAsk, Refused


class Hosts:
    """Remembers what the config names; everything else must be public.

    A feed can redirect anywhere. Without this check it could have this machine, or
    one beside it, answer in its stead.
    """

    def __init__(self, configured: Iterable[str]) -> None:
        self._configured = {_place(url) for url in configured}

    def require_allowed(self, url: str) -> None:
        """Make sure that an address may be asked.

        Raises:
            Refused: it leads to a private host that the config does not name.
            CouldNotAsk: its host cannot be looked up.
        """
        if _place(url) in self._configured:
            return
        host = urlsplit(url).hostname or ""
        if not all(_is_public(address) for address in _addresses(host)):
            raise Refused(f"{host or 'an address without a host'} is a private host; not asked.")

    def is_here(self, url: str) -> bool:
        """Say whether an address is a loopback one that the config names."""
        if _place(url) not in self._configured:
            return False
        host = urlsplit(url).hostname or ""
        address = _literal(host)
        return host == "localhost" or (address is not None and address.is_loopback)


def place_of(url: str) -> str:
    """Return an address without user, query and fragment, which may hold a secret.

    >>> place_of("https://user:pass@api.example/v1/x?key=1#y")
    'https://api.example/v1/x'
    """
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


_ADDRESS = re.compile(r"https?://[^\s\"'<>]+")


def without_keys(text: str) -> str:
    """Return a text whose addresses have lost what may hold a secret; see `place_of`.

    >>> without_keys("Refused by https://me:word@api.example/v1?key=1, for good.")
    'Refused by https://api.example/v1 for good.'
    """
    return _ADDRESS.sub(_its_place, text)


def _its_place(found: re.Match[str]) -> str:
    try:
        return place_of(found[0])
    except ValueError:  # brackets that hold no address
        return f"{found[0].partition(':')[0]}://..."


def host_of(url: str) -> str:
    """Return the host of an address, with its port where that is not the usual one.

    >>> host_of("https://user:pass@API.example:443/v1"), host_of("http://127.0.0.1:8000/")
    ('api.example', '127.0.0.1:8000')
    """
    host, port = _place(url)
    return host if port in (80, 443) else f"{host}:{port}"


def _place(url: str) -> tuple[str, int]:
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        return (parts.hostname or "").lower(), port
    except ValueError as exc:
        raise Refused(f"{url[:80]!r} is no address.") from exc


def _addresses(host: str) -> list[str]:
    if _literal(host) is not None:
        return [host]
    try:
        found = socket.getaddrinfo(host, None, proto=socket.IPPROTO_TCP)
    except (OSError, UnicodeError) as exc:
        raise CouldNotAsk(
            f"{host[:100]} cannot be looked up: no such host, or no network."
        ) from exc
    return [str(entry[4][0]).partition("%")[0] for entry in found]


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _is_public(text: str) -> bool:
    address = _literal(text)
    inner = getattr(address, "ipv4_mapped", None) or address
    return inner is not None and bool(inner.is_global)
