"""tweepy through the door, and what X's answers are told apart by."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from pydantic import SecretStr

from moodtape.errors import CouldNotRead, Refused
from moodtape.ingest.base import Door
from moodtape.ingest.clients import DoorAdapter, client_session
from moodtape.ingest.text import clean

TWEEPYS_HOST = "https://api.twitter.com"


def make_client(base_url: str, http: Door, token: SecretStr) -> Any:
    """Return a tweepy client whose requests go through the door. It asks nothing yet.

    Its own waiting is off: told to wait without being told how long, it asks without end.
    """
    import tweepy

    logging.getLogger("tweepy").setLevel(logging.INFO)  # at debug it tells the token
    client = tweepy.Client(
        bearer_token=token.get_secret_value(), wait_on_rate_limit=False, return_type=dict
    )
    adapter = DoorAdapter(http, ("authorization",), TWEEPYS_HOST, base_url)
    client.session = client_session(adapter)
    return client


def read_answer(ask: Callable[[], Any], symbol: str) -> dict[str, Any]:
    """Return X's answer to a question, if it is one.

    Raises:
        Refused: X says no inside an answer.
        CouldNotRead: it is cut short, or something else.
        CouldNotAsk, Refused, CouldNotRead: of the door.
    """
    from tweepy.errors import TweepyException

    try:
        told = ask()
    except (TweepyException, ValueError, TypeError, RecursionError) as exc:
        raise CouldNotRead(
            f"X, {symbol}: the answer is none that tweepy can read ({type(exc).__name__})."
        ) from exc
    if isinstance(told, dict) and isinstance(told.get("meta"), dict):
        return told
    errors = told.get("errors") if isinstance(told, dict) else None
    if isinstance(errors, list) and errors and isinstance(errors[0], dict):
        said = str(errors[0].get("detail") or errors[0].get("message") or errors[0].get("title"))
        raise Refused(f"X, {symbol}: {clean(said, 200)}")
    raise CouldNotRead(f"X, {symbol}: the answer holds neither posts nor a reason.")


def items_of(told: Mapping[str, Any], symbol: str) -> list[Mapping[str, Any]]:
    """Return the items of an answer; X leaves the list out where there is none."""
    items = told.get("data", [])
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise CouldNotRead(f"X, {symbol}: the answer's data is no list of items.")
    return items


def instant_of(text: Any) -> datetime | None:
    """Return an instant, or None where the text tells none."""
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return at if at.tzinfo is not None else None
