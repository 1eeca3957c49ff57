"""Whether the rhythms keep going: what was done last, and what is overdue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from moodtape.clock import iso
from moodtape.config import Config
from moodtape.settings import Settings

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Standing:
    """How a project stands.

    found: rows by what they tell of: bars, metrics, texts, polls, steps, skill, hosts, drift ...
    model: the one in use, with the decision on the last new one; None without.
    late: what is overdue, a line each.
    """

    found: dict[str, list[dict[str, Any]]]
    model: dict[str, Any] | None
    late: list[str]


def standing(settings: Settings, now: datetime) -> Standing:
    """Return what is stored, how good forecasts were, which model is in use, what is overdue.

    Raises:
        DataMissing: there is no warehouse.
        WarehouseLocked: another process is writing.
    """
    from moodtape.forecasts import skill_so_far
    from moodtape.nightly.champion import champion
    from moodtape.storage.drifts import last_alarm, last_drift
    from moodtape.storage.promotions import last_promotion
    from moodtape.storage.summary import status, troubled_hosts
    from moodtape.study.project import warehouse_of

    with warehouse_of(settings).read() as connection:
        found = status(connection) | {"hosts": troubled_hosts(connection, now)}
        found |= skill_so_far(connection, now)
        decision = last_promotion(connection)
        nights = [last_drift(connection, now), last_alarm(connection, now)]
    found["drift"] = [row for row in nights if row is not None]
    model = champion(settings, now)
    if model is not None:
        model |= {"last_decision": decision}
    return Standing(found, model, overdue(settings.config, found["steps"], found["polls"], now))


def overdue(config: Config, steps: Rows, polls: Rows, now: datetime) -> list[str]:
    """Return a line for each step and source that should have been done, with what to do.

    Only what has run before can be overdue: a project in which nothing is scheduled has no
    rhythm to fall out of.

    Args:
        steps, polls: from `storage.summary.status`.
    """
    limits = {
        "tick": timedelta(hours=config.nightly.stale_after_h),
        "nightly": timedelta(hours=config.nightly.night_stale_after_h),
    }
    found = []
    for rhythm, limit in limits.items():
        late = [row for row in steps if row["rhythm"] == rhythm and _is_late(row, limit, now)]
        if late:
            since = min((row["last_done"] for row in late if row["last_done"]), default=None)
            reach = f"the last one was at {iso(since)}" if since else "none ever was"
            names = ", ".join(row["step"] for row in late)
            why = next((f" ({row['error']})" for row in late if row["error"]), "")
            found.append(
                f"{rhythm}: no whole {names} for more than {_hours(limit)} hours: {reach}{why}."
                f" Run: moodtape {rhythm}"
            )
    if steps:
        limit = timedelta(hours=config.nightly.source_stale_after_h)
        found += [
            f"{poll['collector']} {poll['stream']}: no good answer for more than {_hours(limit)}"
            f" hours ({poll['detail'] or poll['state']}). Run: moodtape ingest {poll['collector']}"
            for poll in _still_asked(polls, limit)
            if poll["collector"] in config.ingest.sources
            and now - (poll["last_good"] or poll["first_poll"]) > limit
        ]
    return found


def _still_asked(polls: Rows, limit: timedelta) -> Rows:
    """Return the streams that were asked when their collector asked last, or not long before.

    One that was taken out of the config is not overdue.
    """
    newest: dict[str, datetime] = {}
    for poll in polls:
        name, at = poll["collector"], poll["last_poll"]
        newest[name] = max(at, newest.get(name, at))
    return [p for p in polls if newest[p["collector"]] - p["last_poll"] <= limit]


def _is_late(row: Mapping[str, Any], limit: timedelta, now: datetime) -> bool:
    done = row["last_done"] or row["first_begun"]
    return bool(now - done > limit)


def _hours(limit: timedelta) -> str:
    return f"{limit / timedelta(hours=1):g}"
