"""Shared by all tests: a fixed `now`, a warehouse of its own for each test, no network."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from moodtape.storage.db import Warehouse

os.environ["MPLBACKEND"] = "Agg"


@pytest.fixture
def now() -> datetime:
    """Return the instant at which tests take place."""
    return datetime(2025, 6, 30, tzinfo=UTC)


@pytest.fixture
def tmp_warehouse(tmp_path: Path) -> Warehouse:
    """Return a warehouse that does not exist yet; the first write makes it."""
    return Warehouse(tmp_path / "moodtape.duckdb", lock_wait_s=5)


@pytest.fixture(autouse=True)
def _no_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test that dials out or looks up a name fail, unless it is marked `live`."""
    if request.node.get_closest_marker("live"):
        return
    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, _loopback_only(getattr(socket.socket, name)))
    monkeypatch.setattr(socket, "getaddrinfo", _local_names_only(socket.getaddrinfo))


def _loopback_only(dial: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(self: socket.socket, address: Any) -> Any:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_local(address[0]):
            raise NetworkUsed(address)
        return dial(self, address)

    return guarded


def _local_names_only(look_up: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(host: Any, *args: Any, **kwargs: Any) -> Any:
        if host is not None and not _is_local(host):
            raise NetworkUsed(host)
        return look_up(host, *args, **kwargs)

    return guarded


def _is_local(host: str | bytes) -> bool:
    name = host.decode() if isinstance(host, bytes) else host
    try:
        return ip_address(name.partition("%")[0]).is_loopback
    except ValueError:
        return name in ("localhost", "")


class NetworkUsed(BaseException):
    """A test dialled out. No `except Exception` may hide it, so it is no `Exception`."""

    def __init__(self, address: Any) -> None:
        super().__init__(f"this test dials out to {address!r}; mark it `live` or use loopback")
