"""A night to its end: page, backup, missed nights, a model that is trained and let in, or not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from moodtape.errors import GateFailed
from moodtape.nightly.champion import models_in_use
from moodtape.nightly.pages import sparklines
from moodtape.nightly.run import Order
from moodtape.nightly.succession import require_sound
from moodtape.settings import load_settings

if TYPE_CHECKING:
    from tests.nightly.conftest import World

HOUR, MINUTE, DAY = timedelta(hours=1), timedelta(minutes=1), timedelta(days=1)


def test_a_night_leaves_pages_and_a_backup_and_says_what_was_missed(
    ready: World, run: Callable[..., Any]
) -> None:
    ready.now = ready.now.replace(hour=0, minute=20) + DAY
    first = ready.run("nightly")
    assert {s.step: s.state for s in first.steps} == {
        "ingest": "done", "score": "done", "hours": "done", "settle": "done",
        "drift": "done", "retrain": "skipped", "forecast": "done", "report": "done",
        "backup": "done",
    }  # fmt: skip
    assert (first.missed, first.exit_code) == ((), 0)
    assert ready.run("nightly").todo == (), "a skipped step is over, too"
    ready.now += 3 * DAY + HOUR
    second = ready.run("nightly")
    night = first.slot
    assert second.missed == (night + DAY, night + 2 * DAY)
    pages = sorted(p.name for p in (ready.folder / "nights").glob("*.html"))
    assert pages == ["2026-03-02.html", "2026-03-03.html", "2026-03-04.html", "2026-03-05.html",
                     "index.html"]  # fmt: skip
    missed = json.loads((ready.folder / "nights" / "2026-03-03.json").read_text())
    assert max(row["cutoff"] for row in missed["forecasts"]) <= "2026-03-03T00:20"
    assert missed["settled"] == {"settled": 24}
    assert missed["model"]["run"] == "20260101T000000Z-aaaaaa"
    page = (ready.folder / "nights" / "2026-03-05.html").read_text()
    assert "20260101T000000Z-aaaaaa" in page
    assert "http" not in page.replace("http-equiv", ""), "it asks for nothing"
    assert page.count("<tr>") > 4
    assert len(list((ready.folder / "backups").iterdir())) == 2
    index = (ready.folder / "nights" / "index.html").read_text()
    assert index.count("2026-03-0") >= 8


def test_what_a_source_said_is_shown_as_text(ready: World) -> None:
    with ready.warehouse.write() as connection:
        connection.execute(
            "INSERT INTO poll BY NAME SELECT * REPLACE ('down' AS state, 'x' AS stream,"
            " '<script>alert(1)</script>' AS detail) FROM poll WHERE collector = 'news' LIMIT 1"
        )
    ready.now = ready.now.replace(hour=0, minute=20) + DAY
    ready.run("nightly", Order(only="report"))
    page = (ready.folder / "nights" / "2026-03-02.html").read_text()
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_the_line_of_skill_by_hand() -> None:
    def night(skill: float | None) -> dict[str, Any]:
        return {"skill": [{"symbol": "BTC", "horizon_bars": 1, "target": "return", "skill": skill}]}

    (line,) = sparklines([night(0.1), night(None), night(-0.1)])  # the newest first
    assert line["name"] == "BTC return 1"
    assert line["points"] == "0.0,22.0 160.0,2.0"
    assert (line["zero"], line["last"]) == (12.0, 0.1)
    assert sparklines([]) == []


TINY = """
[walk_forward]
folds = 1
min_train_rows = 30
[training]
seeds = 1
epochs = 1
max_rows = 60
[target]
names = ["return", "direction"]
"""
SMALL = {
    "network.filters": 2, "network.market_units": 2, "network.hidden": 2, "network.pool": 2,
    "nightly.retrain_days": 7, "ablation.subject": "sentiment",
    "features.groups": ["price", "calendar", "sentiment"],
}  # fmt: skip


def test_a_new_model_is_trained_when_due_and_let_in_when_sound(make_ready: Any) -> None:
    world = make_ready("trained", TINY)
    shutil.rmtree(world.folder / "runs")
    world.now = world.now.replace(hour=0, minute=20) + 6 * DAY
    first = world.run("nightly", Order(only="ingest"))
    world.run("nightly", Order(only="score"))
    result = world.run("nightly", Order(only="retrain"), **SMALL)
    (step,) = result.steps
    assert step.state == "done", step.error
    assert step.counts["word"] == "promoted"
    new = step.counts["model"]
    assert (world.folder / "runs" / new / "served.json").is_file()
    assert list((world.folder / "runs" / "challengers").iterdir()) == []
    again = world.run("nightly", Order(only="retrain"), **SMALL)
    assert again.steps[0].error == "not due"
    assert first.slot == result.slot


def test_a_model_that_cannot_be_believed_stays_outside(
    ready: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings(ready.folder, environ={})
    folder = models_in_use(settings)[0]
    ready.run("tick")
    require_sound(settings, folder, ready.now)
    import moodtape.study.forecasting as forecasting

    whole = forecasting.forecast_newest
    for key, wrong in (
        ("p_up", 1.2), ("p_up", float("nan")), ("volatility", 0.0),
        ("quantiles", {"0.05": 0.2, "0.95": 0.1}),
    ):  # fmt: skip
        monkeypatch.setattr(
            forecasting, "forecast_newest",
            lambda *a, key=key, wrong=wrong: [item | {key: wrong} for item in whole(*a)],
        )  # fmt: skip
        with pytest.raises(GateFailed, match="in a way that cannot be"):
            require_sound(settings, folder, ready.now)
