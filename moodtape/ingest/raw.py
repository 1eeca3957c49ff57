"""Answers as they came, kept so that rows can be made from them again.

A tape is a file of JSON lines for one collector in one run: how it began, then every
question with its answer or failure. A question is kept as a hash, since it may hold a key;
a body is packed. A line that a crash cut short is not read.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import shutil
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from moodtape import __version__
from moodtape.errors import CouldNotAsk, CouldNotRead, NotThere, Refused, SourceFailed
from moodtape.ingest.base import Door, Question, ask_all
from moodtape.ingest.http import Answer
from moodtape.ingest.round import Plan

KEPT_HEADERS = ("content-type", "date", "etag", "last-modified")
FAILURES = {kind.__name__: kind for kind in (NotThere, CouldNotAsk, Refused, CouldNotRead)}


@dataclass(frozen=True)
class Beginning:
    """How a collector's turn began: what a second one needs to ask the same."""

    run_id: str
    collector: str
    cursor: str | None
    now: datetime
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Tape:
    """What was asked in one turn, and what came."""

    beginning: Beginning
    exchanges: Iterable[Mapping[str, Any]]


class RecordingDoor:
    """A door that keeps every answer it lets in. Its time is that of the last one."""

    def __init__(self, door: Door, path: Path | None) -> None:
        self._door, self._path = door, path
        self._latest: datetime | None = None

    def begin(self, beginning: Beginning) -> None:
        """Write the head of the tape, before the first question."""
        self._write({"version": __version__, **_plain(asdict(beginning))})

    def now(self) -> datetime:
        """Return the time of the last answer, or of the clock before there is one."""
        return self._latest or self._door.now()

    def get(
        self,
        url: str,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask, and keep what comes of it."""
        return self._keep(
            question(url, params), lambda: self._door.get(url, params, headers), lambda body: body
        )

    def post(self, url: str, body: bytes | str, headers: Mapping[str, str]) -> Answer:
        """Log in, and keep what comes of it without its words, which are keys."""
        return self._keep(
            question(url, None), lambda: self._door.post(url, body, headers), without_words
        )

    def get_all(self, questions: Sequence[Question]) -> Iterator[Answer | SourceFailed]:
        """Ask several, and keep what comes of each in the order of the questions."""
        for question_, came in zip(questions, ask_all(self._door, questions), strict=True):
            asked = question(question_.url, question_.params)
            if isinstance(came, SourceFailed):
                self._keep_failure(asked, came)
            else:
                self._keep_answer(asked, came, came.body)
            yield came

    def _keep(
        self, asked: str, ask: Callable[[], Answer], kept: Callable[[bytes], bytes]
    ) -> Answer:
        try:
            answer = ask()
        except SourceFailed as failure:
            self._keep_failure(asked, failure)
            raise
        self._keep_answer(asked, answer, kept(answer.body))
        return answer

    def _keep_failure(self, asked: str, failure: SourceFailed) -> None:
        kinds = (name for name, kind in FAILURES.items() if isinstance(failure, kind))
        told = {"kind": next(kinds, "CouldNotRead"), "message": str(failure)}
        at = self._move_on(self._door.now())
        self._write({"asked": asked, "at": at.isoformat(), "failure": told})

    def _keep_answer(self, asked: str, answer: Answer, body: bytes) -> None:
        self._move_on(answer.fetched_at)
        self._write(
            {
                "asked": asked,
                "at": answer.fetched_at.isoformat(),
                "place": answer.place,
                "status": answer.status,
                "headers": {k: v for k, v in answer.headers.items() if k in KEPT_HEADERS},
                "sha256": hashlib.sha256(body).hexdigest(),
                "body": base64.b64encode(gzip.compress(body, 6, mtime=0)).decode(),
            }
        )

    def _move_on(self, at: datetime) -> datetime:
        """Return the time, which does not go back where a later question was answered sooner."""
        self._latest = at if self._latest is None else max(self._latest, at)
        return self._latest

    def _write(self, line: Mapping[str, Any]) -> None:
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


class ReplayingDoor:
    """A door that answers from a tape, in the order in which it was asked then."""

    def __init__(self, tape: Tape) -> None:
        self._left, self._latest = iter(tape.exchanges), tape.beginning.now
        self._following = next(self._left, None)
        self._was_withheld = False

    def now(self) -> datetime:
        """Return the time of the last answer."""
        return self._latest

    def get(
        self,
        url: str,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Return what was answered then.

        Raises:
            CouldNotRead: the tape ends, or holds another question, or its body has changed.
            CouldNotAsk, Refused: so it was then.
        """
        return self._next(question(url, params))

    def post(self, url: str, body: bytes | str, headers: Mapping[str, str]) -> Answer:
        """Return what was kept of a login; see `get`."""
        return self._next(question(url, None))

    def _next(self, asked: str) -> Answer:
        if self._was_withheld:
            self._pass_over_pages(asked)
        line = self._following
        if line is None or line.get("asked") != asked:
            raise CouldNotRead(
                "The kept answers do not go on from here: the run was cut short, or the settings"
                " were others."
            )
        self._following = next(self._left, None)
        try:
            return self._answered(line)
        except (LookupError, TypeError, ValueError, AttributeError, EOFError, OSError,
                zlib.error) as exc:  # fmt: skip
            raise CouldNotRead(f"A kept answer is damaged ({type(exc).__name__}).") from exc

    def _answered(self, line: Mapping[str, Any]) -> Answer:
        at = _aware(line["at"])
        self._latest = max(self._latest, at)
        self._was_withheld = self._was_withheld or bool(line.get("withheld"))
        if "failure" in line:
            raise FAILURES[line["failure"]["kind"]](line["failure"]["message"])
        body = gzip.decompress(base64.b64decode(line["body"]))
        if hashlib.sha256(body).hexdigest() != line["sha256"]:
            raise CouldNotRead(f"The kept answer of {line['place']} is not what came then.")
        return Answer(line["place"], line["status"], line["headers"], body, at)

    def _pass_over_pages(self, asked: str) -> None:
        """Leave out what was asked only because of an answer that is withheld now."""
        while self._following is not None and self._following.get("asked") != asked:
            self._following = next(self._left, None)


def without_words(body: bytes) -> bytes:
    """Return a JSON object with every text in it taken out; anything else becomes nothing.

    >>> without_words(b'{"access_token": "secret", "expires_in": 3600}')
    b'{"access_token": "withheld", "expires_in": 3600}'
    """
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return b""
    if not isinstance(told, dict):
        return b""
    plain = {k: v if isinstance(v, int | float) else "withheld" for k, v in told.items()}
    return json.dumps(plain).encode()


def question(url: str, params: Mapping[str, Any] | None) -> str:
    """Return what stands for a question, at whichever host: a hash, since it may hold a key."""
    told = json.dumps(
        [urlsplit(url).path, sorted((str(k), str(v)) for k, v in (params or {}).items())]
    )
    return hashlib.sha256(told.encode()).hexdigest()[:24]


def tape_of(plan: Plan, run_id: str, collector: str) -> Path | None:
    """Return where a turn is recorded; None if it is not."""
    if plan.answers is None or plan.dry_run or plan.config.ingest.keep_answers_d == 0:
        return None
    return plan.answers / run_id / f"{collector}.jsonl"


def read_beginning(path: Path) -> Beginning | None:
    """Return the head of a tape; None if it is not whole."""
    with path.open(encoding="utf-8", errors="replace") as file:
        try:
            head = json.loads(file.readline())
            head.pop("version")
            head["now"] = _aware(head["now"])
            for name in ("since", "until"):
                head[name] = None if head[name] is None else _aware(head[name])
            return Beginning(**head)
        except (LookupError, TypeError, ValueError, AttributeError, RecursionError):
            return None


def _aware(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return at


def read_tape(path: Path) -> Tape | None:
    """Return a tape up to its last whole line; None if not even its head is whole."""
    beginning = read_beginning(path)
    return None if beginning is None else Tape(beginning, _Lines(path))


@dataclass(frozen=True)
class _Lines:
    """The questions and answers of a tape, read one after the other: a tape may be large."""

    path: Path

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        with self.path.open(encoding="utf-8", errors="replace") as file:
            file.readline()
            for text in file:
                try:
                    line = json.loads(text)
                except (ValueError, RecursionError):
                    return
                if not isinstance(line, dict):
                    return
                yield line


def forget_old_tapes(plan: Plan, now: datetime) -> None:
    """Remove the answers of runs that began too long ago."""
    if plan.answers is None or not plan.answers.is_dir():
        return
    oldest = now - timedelta(days=plan.config.ingest.keep_answers_d)
    for folder in plan.answers.iterdir():
        began = _began(folder.name)
        if began is not None and began <= oldest:
            shutil.rmtree(folder)


def _began(run_id: str) -> datetime | None:
    try:
        return datetime.strptime(run_id[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None  # not a run's folder


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v.isoformat() if isinstance(v, datetime) else v for k, v in values.items()}
