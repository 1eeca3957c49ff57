"""ccxt through the door: how an exchange of it is made, and what becomes of what it raises.

The door keeps the distance, tries again and keeps the answers, so ccxt's own throttle and
retries are off. ccxt makes rows of a body that was cut short, letter by letter, and calls a
ban and a geo block network errors; so a body has to be whole JSON, and a status that is none
is refused, before ccxt sees either.

Source: ccxt/ccxt, wiki/Manual.md and python/ccxt/base/exchange.py, 4.5.90.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from moodtape.clock import EPOCH
from moodtape.errors import (
    ConfigError,
    CouldNotRead,
    Refused,
    SourceFailed,
    UsageError,
    did_you_mean,
)
from moodtape.ingest.base import Door
from moodtape.ingest.clients import DoorAdapter, client_session
from moodtape.ingest.http import Answer
from moodtape.ingest.text import clean

SPOT, SWAP = frozenset({"spot"}), frozenset({"swap", "linear", "contract"})
"""Kinds of markets, as ccxt's exchanges call them where they list each kind by itself."""

GARBLED = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What ccxt stumbles with over an answer of another shape than the documented one."""

PASSED_HEADERS = ("accept", "content-type")
# Of every market, Binance lists a kilobyte of sets of permissions.
LISTING = {"binance": {"showPermissionSets": "false"}}


class Exchange:
    """An exchange as ccxt knows it. It asks nothing before it is told to.

    Args:
        setting: the setting that names it, for what is told of a wrong one.
        base_url: takes the place of all of its addresses; empty: its own.
        kinds: of markets to list, where each kind would be a request of its own.

    Raises:
        UsageError: ccxt is not installed.
        ConfigError: ccxt has no such exchange.
    """

    def __init__(
        self, name: str, setting: str, base_url: str, http: Door, kinds: frozenset[str]
    ) -> None:
        ccxt = _ccxt()
        if name not in ccxt.exchanges:
            hint = did_you_mean(name, ccxt.exchanges)
            raise ConfigError(f"{setting}: ccxt has no exchange {name!r}.{hint}")
        self.name, self.setting = name, setting
        self._door = _JsonDoor(http)
        self._not_listed: SourceFailed | None = None
        self._now = EPOCH
        self.client: Any = getattr(ccxt, name)(
            {
                "enableRateLimit": False,
                "session": client_session(DoorAdapter(self._door, PASSED_HEADERS)),
            }
        )
        self.client.has["fetchCurrencies"] = False  # a further request, and nothing needs it
        # ccxt leaves rows out whose time it cannot read, as if they were too old.
        self.client.filter_by_since_limit = lambda rows, *_: rows
        self.client.filter_by_value_since_limit = _of_one_value
        _list_only(self.client.options.get("fetchMarkets"), kinds)
        if base_url:
            self.client.urls["api"] = _moved(self.client.urls["api"], base_url.rstrip("/"))
        self._set_clock()

    def begin(self, now: datetime) -> None:
        """Tell what time it is until an answer says so."""
        self._now = now

    def require(self, method: str, what: str) -> None:
        """Make sure that ccxt can ask this exchange for something.

        Raises:
            ConfigError: it cannot.
        """
        if self.client.has.get(method) is not True:
            raise ConfigError(f"{self.setting}: ccxt brings no {what} of {self.name}.")

    def takes_until(self, method: str) -> bool:
        """Say whether a method takes an end; only its documentation tells."""
        return "params.until]" in (getattr(self.client, method).__doc__ or "")

    def require_market(self, code: str) -> None:
        """Make sure that the exchange has a market; all are listed once, by one request.

        Raises:
            Refused: it has none of that name.
            CouldNotAsk, Refused, CouldNotRead: the list did not come; it is not asked for again.
        """
        if self._not_listed is not None:
            raise self._not_listed
        if not self.client.markets:
            try:
                self.ask(self.client.load_markets, False, LISTING.get(self.name, {}))
            except SourceFailed as failure:
                self._not_listed = failure
                raise
        if code not in self.client.markets:
            raise Refused(
                f"{self.name} has no market {code}.{did_you_mean(code, self.client.markets)}"
            )

    def ask(self, call: Callable[..., Any], *told: Any) -> Any:
        """Return what a method of ccxt returns.

        Raises:
            Refused: the exchange said no inside an answer.
            CouldNotRead: ccxt cannot read what it sent.
            CouldNotAsk, Refused, CouldNotRead: of the door.
        """
        ccxt = _ccxt()
        try:
            return call(*told)
        except (ccxt.BadResponse, ccxt.NullResponse, *GARBLED) as exc:
            raise CouldNotRead(
                f"{self.name} sent what ccxt cannot read ({type(exc).__name__})."
            ) from exc
        except ccxt.BaseError as exc:
            said = clean(str(exc), 200).rstrip(".")
            raise Refused(f"{self.name} said no ({type(exc).__name__}): {said}.") from exc

    @property
    def answer(self) -> Answer:
        """Return the last answer that came."""
        assert self._door.latest is not None
        return self._door.latest

    def now(self) -> datetime:
        """Return the door's time."""
        return self._door.now()

    def _set_clock(self) -> None:
        """Let ccxt tell time by the answers: it puts it into questions, which are replayed."""

        def micros() -> int:
            latest = self._door.latest
            instant = self._now if latest is None else latest.fetched_at
            return (instant - EPOCH) // timedelta(microseconds=1)

        self.client.microseconds = micros
        self.client.milliseconds = lambda: micros() // 1000
        self.client.seconds = lambda: micros() // 1_000_000


class _JsonDoor:
    """The door, for ccxt: it lets whole JSON in only, and remembers the last answer."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self.latest: Answer | None = None

    def get(
        self,
        url: str,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Return an answer that is an object or a list.

        Raises:
            CouldNotRead: it is cut short, or something else.
            CouldNotAsk, Refused, CouldNotRead: of the door.
        """
        self.latest = answer = self._door.get(url, params, headers)
        if not isinstance(answer.json(), dict | list):
            raise CouldNotRead(f"{answer.place} sent neither an object nor a list.")
        return answer

    def post(self, url: str, body: bytes | str, headers: Mapping[str, str]) -> Answer:
        """Refuse: answers to a POST are logins, and not kept."""
        raise Refused(f"{url} is asked by POST, whose answers cannot be replayed: not supported.")

    def now(self) -> datetime:
        """Return the door's time."""
        return self._door.now()


def _ccxt() -> Any:
    try:
        import ccxt
    except ImportError as exc:
        raise UsageError(
            "Asking exchanges by ccxt needs the 'exchanges' extra:"
            ' pip install "moodtape[exchanges]"'
        ) from exc
    return ccxt


def _of_one_value(rows: Any, field: str, value: Any = None, *_: Any) -> list[Any]:
    return [row for row in rows if value is None or row[field] == value]


def _list_only(option: Any, kinds: frozenset[str]) -> None:
    """Let ccxt list some kinds of markets, where it would list all, each by a request."""
    types = option.get("types") if isinstance(option, dict) else None
    if not types or not kinds & set(types):
        return
    if isinstance(types, dict):
        option["types"] = {kind: kind in kinds and types[kind] for kind in types}
    else:
        option["types"] = [kind for kind in types if kind in kinds]


def _moved(urls: Any, base_url: str) -> Any:
    """Return addresses, which may be nested, at another host."""
    if isinstance(urls, dict):
        return {name: _moved(url, base_url) for name, url in urls.items()}
    return base_url + urlsplit(urls).path if isinstance(urls, str) else urls
