"""A page for each night and one over all of them; files that ask for nothing.

Every night's figures are as of that night, also where its page is made later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

from moodtape.forecaster.runs import plain, read_json, write_json, write_text
from moodtape.nightly.champion import champion
from moodtape.settings import Settings
from moodtape.storage.db import query
from moodtape.storage.drifts import last_drift
from moodtape.storage.settlements import live_forecasts, newest_forecasts
from moodtape.study.project import warehouse_of

DAY = timedelta(days=1)
WIDTH, HEIGHT = 160, 24


def write_nights(settings: Settings, nights: Sequence[datetime], now: datetime) -> int:
    """Write the pages of some nights and the one over all; return how many nights there are."""
    folder = nights_folder(settings)
    folder.mkdir(parents=True, exist_ok=True)
    for night in nights:
        facts = night_facts(settings, night, now)
        write_json(folder / f"{night:%Y-%m-%d}.json", facts)
        write_text(folder / f"{night:%Y-%m-%d}.html", _render("night.html.j2", night=plain(facts)))
    every = [
        {"drift": None, **read_json(path)}
        for path in sorted(folder.glob("????-??-??.json"), reverse=True)
    ]
    page = _render("nights.html.j2", nights=every, lines=sparklines(every))
    write_text(folder / "index.html", page)
    return len(every)


def nights_folder(settings: Settings) -> Path:
    """Return the folder of the pages."""
    return settings.folder / "nights"


def night_facts(settings: Settings, night: datetime, now: datetime) -> dict[str, Any]:
    """Return what a night has to tell, as of that night."""
    from moodtape.forecaster.skill import live_skill

    with warehouse_of(settings).read() as connection:
        skill = live_skill(live_forecasts(connection, night))
        newest = newest_forecasts(connection, now, night)
        drift = last_drift(connection, night)
        cursor = connection.execute(query("night_sources"), {"since": night - DAY, "until": night})
        names = [column[0] for column in cursor.description or ()]
        sources = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        settled = connection.execute(
            "SELECT state, count(*) FROM settlement WHERE due_at > ? AND due_at <= ? GROUP BY ALL",
            [night - DAY, night],
        ).fetchall()
    return {
        "schema_version": 1,
        "night": night,
        "written_at": now,
        "model": champion(settings, night),
        "skill": skill,
        "drift": drift if drift is not None and drift["night"] == night else None,
        "forecasts": newest,
        "settled": dict(settled),
        "sources": sources,
    }


def sparklines(nights: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return live skill over the nights as one line a symbol, horizon and target.

    nights: the newest first. points: of an SVG polyline, oldest at the left; zero: height of
    no skill.
    """
    series: dict[tuple[str, int, str], list[tuple[int, float]]] = {}
    for place, night in enumerate(reversed(nights)):
        for row in night["skill"]:
            if row["skill"] is not None:
                key = (row["symbol"], row["horizon_bars"], row["target"])
                series.setdefault(key, []).append((place, row["skill"]))
    found = []
    for key, values in sorted(series.items()):
        low, high = (f(0.0, *(v for _, v in values)) for f in (min, max))
        scale = (HEIGHT - 4) / (high - low or 1.0)
        step = WIDTH / max(len(nights) - 1, 1)
        points = " ".join(f"{p * step:.1f},{2 + (high - v) * scale:.1f}" for p, v in values)
        found.append(
            {"name": f"{key[0]} {key[2]} {key[1]}", "points": points,
             "zero": round(2 + high * scale, 1), "last": values[-1][1]}
        )  # fmt: skip
    return found


def _render(name: str, **values: Any) -> str:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters["percent"] = lambda x: "–" if x is None else f"{x:+.2%}".replace("-", "−")
    environment.filters["moment"] = lambda text: text[:16].replace("T", " ")
    package = files("moodtape.nightly")
    source = (package / name).read_text(encoding="utf-8")
    style = (package / "nights.css").read_text(encoding="utf-8")
    return environment.from_string(source).render(style=style, **values)
