"""Tells an address of failures and of changed verdicts; that it cannot be told ends no run.

1. compare   how the run ended, and the newest verdicts, with what was told last
2. tell      each piece of news by the one door to the network; no redirect is followed
3. remember  what was told, so that it is told once; trouble that lasts is told again every day

News is remembered when it was taken: one that was not comes again with the next run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from moodtape.clock import iso
from moodtape.config import HttpSection
from moodtape.errors import MoodtapeError, UnreadableFile
from moodtape.ingest.credentials import require_private
from moodtape.nightly.lock import only_one
from moodtape.settings import Settings

if TYPE_CHECKING:
    from moodtape.ingest.polite import Timing

AGAIN_AFTER = timedelta(days=1)
MOST_PROBLEMS, LONGEST_PROBLEM = 20, 300
BOUNDS = {"attempts": 2, "deadline_s": 20.0, "connect_timeout_s": 5.0, "read_timeout_s": 10.0}
"""So that an address that does not answer holds nobody up."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    signs: what failed, in words that stay the same while it does. problems: a line each.
    """

    rhythm: str
    slot: datetime
    run_id: str
    exit_code: int
    signs: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def tell_news(
    settings: Settings,
    outcome: Outcome,
    verdicts: Mapping[str, str] | None,
    now: datetime,
    timing: Timing | None = None,
) -> str | None:
    """Tell the config's address what is new; return why it could not be told.

    verdicts: the newest word on each question; None where they are not known now.
    """
    address = settings.config.nightly.webhook.get_secret_value()
    if not address:
        return None
    try:
        if settings.origins.get("nightly.webhook") == ".env":
            require_private(settings.folder / ".env")
        with only_one(_told_file(settings).with_suffix(".lock"), "Telling the webhook", 30):
            told = _told(settings)
            for after, news in _news(told, outcome, verdicts, now):
                if news is not None:
                    _send(settings, address, news, timing)
                if after != told:
                    told = after
                    _remember(settings, told)
    except (OSError, MoodtapeError, LookupError, TypeError, ValueError) as exc:
        return f"The webhook was not told: {_without_address(str(exc), address)}"
    return None


def _news(
    told: dict[str, Any], outcome: Outcome, verdicts: Mapping[str, str] | None, now: datetime
) -> Iterator[tuple[dict[str, Any], dict[str, Any] | None]]:
    """Yield what is told after each piece of news, and the piece; None where it is no news."""
    before = told.get(outcome.rhythm, {"signs": []})
    signs = list(outcome.signs)
    told = {**told, outcome.rhythm: {"signs": signs, "at": now.isoformat()}}
    lasts = signs and signs == before["signs"]
    if lasts and now - datetime.fromisoformat(before["at"]) < AGAIN_AFTER:
        told[outcome.rhythm] = before
    elif signs:
        yield told, _failure(outcome)
    elif before["signs"]:
        yield told, _news_of("recovery", outcome, "is well again")
    if verdicts is None:
        return
    known = told.get("verdicts", {})
    for question, word in sorted(verdicts.items()):
        told = {**told, "verdicts": {**told.get("verdicts", {}), question: word}}
        news = None
        if known.get(question, word) != word:
            text = f"the verdict on {question} was {known[question]!r} and is {word!r}"
            news = _news_of("verdict", outcome, text, question=question, before=known[question],
                            verdict=word)  # fmt: skip
        yield told, news


def _failure(outcome: Outcome) -> dict[str, Any]:
    lines = [line[:LONGEST_PROBLEM] for line in outcome.problems[:MOST_PROBLEMS]]
    more = len(outcome.problems) - len(lines)
    lines += [f"and {more} more"] if more else []
    text = f"ended with {outcome.exit_code}: {'; '.join(lines)}"
    return _news_of("failure", outcome, text, problems=lines)


def _news_of(event: str, outcome: Outcome, text: str, **facts: Any) -> dict[str, Any]:
    run = f"{outcome.rhythm} of {iso(outcome.slot)}"
    return {
        "event": event,
        "text": text if event == "verdict" else f"{run} {text}",
        "rhythm": outcome.rhythm,
        "slot": outcome.slot.isoformat(),
        "run_id": outcome.run_id,
        "exit_code": outcome.exit_code,
        **facts,
    }


def _send(settings: Settings, address: str, news: Mapping[str, Any], timing: Timing | None) -> None:
    """Post one piece of news.

    Raises:
        SourceFailed: it was not taken.
    """
    from moodtape.ingest.http import Http

    project = settings.folder.resolve().name
    body = {"product": "moodtape", "schema_version": 1, "project": project,
            **news, "text": f"{project}: {news['text']}"}  # fmt: skip
    http = Http(_policy(settings.config.http), [address], timing)
    http.tell(address, json.dumps(body).encode(), {"Content-Type": "application/json"})


def _policy(policy: HttpSection) -> HttpSection:
    """Return the config's policy with short bounds; a redirect could lead anywhere."""
    shorter = {name: min(getattr(policy, name), most) for name, most in BOUNDS.items()}
    return policy.model_copy(update={**shorter, "max_redirects": 0})


def _without_address(text: str, address: str) -> str:
    """Return a message that names the host of an address alone: its path is often the key."""
    parts = urlsplit(address)
    for secret in (address, f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"):
        text = text.replace(secret, parts.hostname or "its host")
    return text.replace(parts.path, "/...") if len(parts.path) > 1 else text


def _told_file(settings: Settings) -> Path:
    return settings.folder / ".moodtape" / "told.json"


def _told(settings: Settings) -> dict[str, Any]:
    from moodtape.forecaster.runs import read_json

    try:
        found = read_json(_told_file(settings))
    except UnreadableFile:
        found = {}
    # None yet, or damaged: at worst something is told twice.
    return found if isinstance(found, dict) else {}


def _remember(settings: Settings, told: Mapping[str, Any]) -> None:
    from moodtape.forecaster.runs import write_json

    write_json(_told_file(settings), told)
