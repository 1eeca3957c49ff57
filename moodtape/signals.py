"""The signal file: the newest forecasts for a program that acts on them, and its reader.

`docs/nightly.md` describes the file. Whoever reads it with `read_signals` never gets an old
one, a half-written one, or one that another project or program wrote.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from moodtape.clock import iso
from moodtape.errors import DataStale, UnreadableFile

PRODUCT, SCHEMA_VERSION = "moodtape signals", 1
TIMES = ("cutoff", "decision_time", "known_until", "expires_at")


@dataclass(frozen=True)
class Signal:
    """A forecast to act on; all times are UTC.

    cutoff: close of the last bar it was made from; the horizon begins there.
    decision_time: from when on it may be acted on. known_until: nothing known later is in it.
    expires_at: when the next one is overdue; do not act on it from then on.
    p_up: P(return > 0). mean, quantiles: log return over the horizon. volatility: standard
        deviation of one bar's log return.
    side: +1 long, 0 flat, -1 short, by the thresholds of `[trading]`, before size and risk.
    """

    symbol: str
    interval: str
    horizon_bars: int
    cutoff: datetime
    decision_time: datetime
    known_until: datetime
    expires_at: datetime
    late: bool
    model: str
    side: int
    p_up: float | None
    mean: float | None
    quantiles: Mapping[str, float] | None
    volatility: float | None


def write_signals(
    path: Path, project: str, signals: Sequence[Signal], written_at: datetime
) -> None:
    """Write the file so that a reader finds the old one or the whole new one."""
    from moodtape.forecaster.runs import plain, write_json

    body = plain(
        {
            "product": PRODUCT,
            "schema_version": SCHEMA_VERSION,
            "project": project,
            "written_at": written_at,
            "signals": [asdict(signal) for signal in signals],
        }
    )
    write_json(path, {**body, "checksum": _checksum(body)})


def _checksum(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def read_signals(
    path: Path | str,
    now: datetime,
    project: str | None = None,
    symbols: Iterable[str] | None = None,
) -> tuple[Signal, ...]:
    """Return the signals of a file that may be acted on now.

    Args:
        project: name that the file must bear; any where None.
        symbols: these only; each of them must be there.
    Raises:
        UnreadableFile: there is none, it is damaged, of another schema, or foreign.
        DataStale: a signal has expired, is not due yet, or was made too late.
    """
    values = _whole(Path(path))
    if project is not None and values["project"] != project:
        raise UnreadableFile(
            f"{path} was written by the project {values['project']!r}, not by {project!r}."
        )
    found = tuple(_signal(path, row) for row in values["signals"])
    if symbols is not None:
        wanted = set(symbols)
        found = tuple(signal for signal in found if signal.symbol in wanted)
        if missing := wanted - {signal.symbol for signal in found}:
            raise UnreadableFile(f"{path} has no signal for {', '.join(sorted(missing))}.")
    for signal in found:
        name = f"{path}: the signal for {signal.symbol} at {iso(signal.cutoff)}"
        if now >= signal.expires_at:
            raise DataStale(f"{name} expired at {iso(signal.expires_at)}. Look: moodtape status")
        if now < signal.decision_time:
            raise DataStale(f"{name} is for {iso(signal.decision_time)}: a clock is wrong.")
        if signal.late:
            raise DataStale(f"{name} was made too late to be acted on.")
    return found


def _whole(path: Path) -> dict[str, Any]:
    from moodtape.forecaster.runs import read_json

    values = read_json(path)
    if not isinstance(values, dict) or values.get("product") != PRODUCT:
        raise UnreadableFile(f"{path} is no signal file of Moodtape.")
    if values.get("schema_version") != SCHEMA_VERSION:
        raise UnreadableFile(
            f"{path} is of schema {values.get('schema_version')!r}, this reader knows"
            f" {SCHEMA_VERSION}. Use the reader of the Moodtape that wrote it."
        )
    if not isinstance(values.get("project"), str) or not isinstance(values.get("signals"), list):
        raise UnreadableFile(f"{path} names no project, or has no list of signals.")
    body = {key: value for key, value in values.items() if key != "checksum"}
    if values.get("checksum") != _checksum(body):
        raise UnreadableFile(f"{path} was changed after it was written. Run: moodtape tick")
    return values


def _signal(path: Path | str, row: Mapping[str, Any]) -> Signal:
    if not isinstance(row, dict) or set(row) != {field.name for field in fields(Signal)}:
        raise UnreadableFile(f"{path} has a signal with other fields than this reader knows.")
    try:
        times = {name: datetime.fromisoformat(row[name]) for name in TIMES}
    except (TypeError, ValueError) as exc:
        raise UnreadableFile(f"{path} has a signal with a time that is none: {exc}.") from exc
    if not isinstance(row["symbol"], str) or any(at.tzinfo is None for at in times.values()):
        raise UnreadableFile(f"{path} has a signal without symbol, or a time without zone.")
    return Signal(**{**row, **times})
