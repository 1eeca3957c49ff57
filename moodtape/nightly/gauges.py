"""How a project stands, in the text format that Prometheus's node_exporter reads from a folder.

Instants are seconds since 1970, as Prometheus wants them: an age is `time() - ...`. Nothing here
is a secret; streams are named as in `moodtape status`.

Source: Prometheus, "Exposition formats", text-based format; node_exporter, textfile collector.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from moodtape.nightly.watch import Standing, standing
from moodtape.settings import Settings

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Gauge:
    """One metric. labels: keys of a row; value: of a row, None where it has none."""

    name: str
    meaning: str
    rows: str
    labels: tuple[str, ...]
    value: Callable[[Row], Any]
    kind: str = "gauge"


def _at(name: str) -> Callable[[Row], Any]:
    return lambda row: row[name]


STEP, STREAM, SKILL = ("rhythm", "step"), ("collector", "stream"), ("symbol", "horizon_bars",
                                                                    "target")  # fmt: skip
GAUGES = (
    Gauge("step_last_success_timestamp_seconds", "When a step was last done whole.", "steps", STEP,
          _at("last_done")),
    Gauge("step_duration_seconds", "How long a step took last.", "steps", STEP, _at("seconds")),
    Gauge("step_failures_total", "Attempts of a step that failed or were partial.", "steps", STEP,
          _at("failures"), "counter"),
    Gauge("source_last_success_timestamp_seconds", "When a stream last answered in full.", "polls",
          STREAM, _at("last_good")),
    Gauge("source_up", "Whether a stream's last answer was good.", "polls", STREAM,
          lambda row: row["last_good"] == row["last_poll"]),
    Gauge("bars_newest_timestamp_seconds", "Close of the newest bar.", "bars",
          ("symbol", "venue", "quote", "interval"), _at("last")),
    Gauge("metrics_newest_timestamp_seconds", "End of the newest period of a metric.", "metrics",
          ("provider", "symbol"), _at("last")),
    Gauge("texts_newest_timestamp_seconds", "When the newest text became known.", "texts",
          ("source", "collection"), _at("last")),
    Gauge("quarantined_rows", "Rows that could not be used.", "quarantine", ("source", "reason"),
          _at("rows")),
    Gauge("live_skill_ratio", "One minus loss over persistence's loss.", "skill", SKILL,
          _at("skill")),
    Gauge("live_skill_low_ratio", "Lower end of its 95 % confidence sequence.", "skill", SKILL,
          _at("low")),
    Gauge("live_skill_high_ratio", "Upper end of its 95 % confidence sequence.", "skill", SKILL,
          _at("high")),
    Gauge("live_skill_forecasts", "Settled forecasts behind it.", "skill", SKILL, _at("n")),
    Gauge("model_trained_until_timestamp_seconds", "Last answer the model in use has seen.",
          "model", (), _at("trained_until")),
    Gauge("backup_last_success_timestamp_seconds", "When the newest whole backup was made.",
          "backup", (), _at("made_at")),
    Gauge("overdue", "Steps and sources that are overdue.", "overdue", (), _at("overdue")),
    Gauge("written_timestamp_seconds", "When this file was written.", "written", (),
          _at("written_at")),
)  # fmt: skip


def write_gauges(settings: Settings, now: datetime) -> None:
    """Write the file whole, over the one before; nothing where the config names none.

    Raises:
        OSError: it cannot be written.
        MoodtapeError: the warehouse cannot be read.
    """
    from moodtape.forecaster.runs import write_text

    if not settings.config.nightly.metrics:
        return
    path = gauges_of(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, gauge_text(standing(settings, now), _backups(settings), now))


def gauges_of(settings: Settings) -> Path:
    """Return where the file is written; a path in the config may lie outside the project."""
    return settings.folder / settings.config.nightly.metrics


def gauge_text(state: Standing, backups: Sequence[Row], now: datetime) -> str:
    """Return the file's text."""
    rows: dict[str, Sequence[Row]] = {
        **state.found,
        "model": [] if state.model is None else [state.model],
        "backup": backups,
        "overdue": [{"overdue": len(state.late)}],
        "written": [{"written_at": now}],
    }
    return "".join(f"{line}\n" for gauge in GAUGES for line in _lines(gauge, rows[gauge.rows]))


def _backups(settings: Settings) -> Sequence[Row]:
    """Return the newest whole backup, where there is one."""
    from moodtape.backup import list_backups

    whole = (backup for backup in list_backups(settings) if backup.damage is None)
    return [{"made_at": datetime.fromisoformat(b.made_at)} for b in whole][:1]


def _lines(gauge: Gauge, rows: Sequence[Row]) -> Iterator[str]:
    samples = [(row, value) for row in rows if (value := gauge.value(row)) is not None]
    if samples:
        yield f"# HELP moodtape_{gauge.name} {gauge.meaning}"
        yield f"# TYPE moodtape_{gauge.name} {gauge.kind}"
    for row, value in samples:
        labels = ",".join(f'{name}="{_escaped(row[name])}"' for name in gauge.labels)
        yield f"moodtape_{gauge.name}{f'{{{labels}}}' if labels else ''} {_number(value)}"


def _escaped(value: Any) -> str:
    return str(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: Any) -> str:
    number = value.timestamp() if isinstance(value, datetime) else float(value)
    return f"{number:.15g}" if math.isfinite(number) else "NaN"
