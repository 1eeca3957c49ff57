"""Many worlds: resumable, countable, and honest about what failed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import binomtest

from moodtape.calibrate import run
from moodtape.calibrate.log import log_run
from moodtape.calibrate.rates import FAILED, Rate, coverage, error_rates, power
from moodtape.calibrate.run import COLUMNS, answer_cell, plan, read_rows, run_worlds
from moodtape.calibrate.study import Cell, Way, settings_for_worlds
from moodtape.config import Config
from moodtape.errors import UnreadableFile, UsageError

CONFIG = settings_for_worlds(
    Config(),
    {
        "verdict": {"planted_draws": 0, "draws": 200},
        "walk_forward": {"folds": 2},
        "target": {"names": ("return",)},
    },
)


def row(world: int, word: str, **changes: Any) -> dict[str, Any]:
    usual = dict.fromkeys(COLUMNS, "")
    usual |= {"block": "develop", "kind": "nothing", "gain": "0", "hours": "2000"}
    usual |= {
        "world": str(world),
        "claim": "tone",
        "target": "return",
        "truth": "0.0",
        "margin": "0.005",
    }
    usual |= {"n": "1000"}
    return usual | {"word": word, "cpu_s": "1.0"} | {k: str(v) for k, v in changes.items()}


def test_a_plan_goes_round_by_round() -> None:
    cells = plan("develop", ("echo", "return"), (0.01, 0.02), 3000, 2)
    assert [(c.world, c.kind, c.gain) for c in cells] == [
        (0, "echo", 0.0), (0, "return", 0.01), (0, "return", 0.02),
        (1, "echo", 0.0), (1, "return", 0.01), (1, "return", 0.02),
    ]  # fmt: skip


def test_worlds_are_answered_once_and_a_cut_line_is_done_again(tmp_path: Path) -> None:
    path = tmp_path / "worlds.csv"
    cells = plan("develop", ("nothing", "return"), (0.3,), 2600, 1)
    run_worlds(cells[:1], CONFIG, path)
    first = path.read_text()
    assert len(read_rows(path)) == 1
    path.write_text(first + first.splitlines()[1][:30])
    told: list[tuple[int, int, str]] = []
    run_worlds(cells, CONFIG, path, progress=lambda *step: told.append(step))
    assert told == [(2, 2, "worlds")], "only what was missing"
    assert path.read_text().startswith(first)
    rows = read_rows(path)
    assert [r["kind"] for r in rows] == ["nothing", "return"]
    assert rows[1]["word"] == "helps", rows[1]["reasons"]
    assert float(rows[1]["truth"]) == 0.3
    again = answer_cell(cells[0], CONFIG)[0]
    assert {**rows[0], "cpu_s": ""} == {
        **{k: "" if v is None else str(v) for k, v in again.items()}, "cpu_s": ""
    }  # fmt: skip


def test_the_blocks_of_seeds_draw_other_worlds() -> None:
    cells = [Cell(block, "nothing", 0.0, 2600, 0) for block in ("develop", "certify")]
    seeds = {answer_cell(cell, CONFIG)[0]["seed"] for cell in cells}
    assert len(seeds) == 2


def test_a_world_that_fails_is_a_world(tmp_path: Path) -> None:
    short = answer_cell(Cell("develop", "nothing", 0.0, 900, 0), CONFIG)
    assert [(r["word"], bool(r["reasons"])) for r in short] == [(FAILED, True)]
    run_worlds([Cell("develop", "nothing", 0.0, 900, 0)], CONFIG, tmp_path / "w.csv")
    [only] = error_rates(read_rows(tmp_path / "w.csv"))
    assert only["worlds"] == 1
    assert only["false"]["helps"].count == 0


def test_another_file_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(UnreadableFile, match="no file of worlds"):
        run_worlds([], CONFIG, path)
    assert path.read_text() == "a,b\n1,2\n"


def test_a_run_is_false_once_however_many_targets_are() -> None:
    rows = [
        row(0, "helps"), row(0, "helps", target="direction"),
        row(1, "cannot tell"), row(1, "hurts", target="direction"),
        row(2, "does not help"), row(2, "does not help", target="direction", truth=0.01),
        row(3, "cannot tell"), row(3, "helps", target="direction", truth=0.01),
    ]  # fmt: skip
    [cell] = error_rates(rows)
    assert cell["worlds"] == 4
    counts = {word: (rate.count, rate.n) for word, rate in cell["false"].items()}
    assert counts == {"helps": (1, 4), "hurts": (1, 4), "does not help": (1, 4)}
    [found] = power([r for r in rows if r["world"] in ("2", "3")])
    assert (found["target"], found["helps"]) == ("direction", Rate(1, 2))


def test_rows_that_were_never_in_a_file_count_as_those_read_from_one() -> None:
    rows = [{**row(0, "helps"), "truth": 0.0, "margin": 0.005}]
    rows += [*answer_world_that_fails(), {**row(2, "helps"), "truth": 0.01, "margin": 0.005}]
    for read in (rows, [{k: str(v) for k, v in r.items()} for r in rows]):
        [cell] = error_rates(read)
        assert (cell["worlds"], cell["false"]["helps"]) == (3, Rate(1, 3))
        [found] = power(read)
        assert found["helps"] == Rate(2, 3), "a world that failed was not helped"


def answer_world_that_fails() -> list[dict[str, Any]]:
    (failed,) = answer_cell(Cell("develop", "nothing", 0.0, 900, 1), CONFIG)
    return [failed | {"hours": "2000"}]


def test_an_interval_holds_or_it_does_not() -> None:
    told = {"target": "return", "horizon_bars": "1", "low": "-0.01", "high": "0.02"}
    rows = [
        row(0, "helps", **told, expected=0.0), row(1, "helps", **told, expected=0.03),
        row(2, "helps", **told, expected=-0.01), row(3, FAILED), row(4, "helps", **told),
    ]  # fmt: skip
    [found] = coverage(rows)
    assert (found["target"], found["held"]) == ("return", Rate(2, 4))
    assert coverage(rows[4:]) == [], "nothing was measured"


def test_a_file_takes_worlds_of_one_way_alone(tmp_path: Path) -> None:
    path, now = tmp_path / "worlds.csv", datetime(2026, 1, 1, tzinfo=UTC)
    log_run(path, CONFIG, Way(), now, "first")
    log_run(path, CONFIG, Way(), now, "again")
    run_worlds([], CONFIG, path)
    with pytest.raises(UsageError, match=r"another way \(fresh bars\)"):
        log_run(path, CONFIG, Way(1000), now, "other")
    lines = (tmp_path / "worlds.csv.runs.jsonl").read_text().splitlines()
    assert [json.loads(line)["command"] for line in lines] == ["first", "again"]


def test_worlds_cost_no_fit_that_no_word_uses() -> None:
    section = settings_for_worlds(Config(), {}).ablation
    assert (section.also, section.baselines, section.importance_draws) == ((), (), 0)


def test_the_interval_of_a_share_against_scipys() -> None:
    for count, n in ((0, 50), (3, 50), (20, 400), (50, 50)):
        exact = binomtest(count, n).proportion_ci(method="exact")
        assert Rate(count, n).interval == pytest.approx((exact.low, exact.high))


def test_the_command_prints_rates_and_refuses_what_it_does_not_know(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from moodtape.commands.calibrate import calibrate

    out = tmp_path / "worlds.csv"
    calibrate(1, 2600, ["nothing"], None, out=out, project=tmp_path, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["command"] == "calibrate"
    assert told["false_words"][0]["false"]["helps"]["n"] == 1
    calibrate(1, 2600, ["nothing"], None, out=out, project=tmp_path, quiet=True)
    assert "nothing" in capsys.readouterr().out
    svg = {"kind": ["nothing"], "svg": tmp_path / "x.svg"}
    days = ({"interval": "4h"}, {"interval": "1d", "fresh_bars": 1000})
    for wrong in (*days, {"kind": ["moon"]}, {"block": "third"}, {"gain": [1.5]}, svg):
        with pytest.raises(UsageError):
            calibrate(1, 2600, out=out, project=tmp_path, **wrong)  # type: ignore[arg-type]


def test_the_number_of_texts_is_asked_about_where_it_is_to_be() -> None:
    """A crowd that tells of volatility helps by its number, and not by its tone."""
    config = settings_for_worlds(
        Config(),
        {
            "verdict": {"planted_draws": 0, "draws": 200},
            "ablation": {"claims": ("tone", "attention")},
            "walk_forward": {"folds": 2},
            "target": {"names": ("volatility",)},
        },
    )
    rows = answer_cell(Cell("develop", "crowd", 0.3, 3000, 0), config)
    told = {row["claim"]: (row["word"], row["truth"]) for row in rows}
    assert told == {"tone": ("cannot tell", 0.0), "attention": ("helps", 0.3)}
    found = power(rows)
    assert [(r["claim"], r["helps"]) for r in found] == [("attention", Rate(1, 1))]
    assert error_rates(rows)[0]["false"]["helps"] == Rate(0, 1)


def test_a_world_of_days_is_answered(tmp_path: Path) -> None:
    from moodtape.commands.calibrate import calibrate

    out, days = tmp_path / "days.csv", Path(__file__).parents[2] / "configs" / "days.toml"
    calibrate(
        1, 24 * 1627, ["return"], [0.1], out=out, project=tmp_path, quiet=True, interval="1d",
        planted_draws=0, config=[days],
    )  # fmt: skip
    rows = {row["target"]: row for row in read_rows(out)}
    assert rows["return"]["word"] == "helps", rows["return"]["reasons"]
    assert 400 < int(rows["return"]["n"]) < 450, "of 1,627 days, half of those not held out"


@pytest.mark.slow
def test_a_world_can_be_put_to_the_network() -> None:
    config = settings_for_worlds(
        Config(),
        {
            "verdict": {"forecaster": "network", "planted_draws": 0, "draws": 200},
            "walk_forward": {"folds": 2},
            "target": {"names": ("return",)},
            "training": {"epochs": 1, "seeds": 3, "max_rows": 300},
            "network": {"filters": 4, "market_units": 4, "sentiment_units": 4, "hidden": 4},
        },
    )
    [row] = answer_cell(Cell("develop", "nothing", 0.0, 2600, 0), config)
    assert (row["forecaster"], row["word"]) == ("network", "cannot tell")
    assert float(row["low"]) < float(row["high"])


@pytest.mark.slow
def test_a_process_that_fits_networks_ends_after_some_worlds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What TensorFlow keeps of each would fill the memory: a thousand worlds take 40 GB."""
    begun = []

    class Counted(run.ProcessPoolExecutor):  # type: ignore[misc,name-defined]
        def __init__(self, *args: Any, **options: Any) -> None:
            begun.append(args)
            super().__init__(*args, **options)

    monkeypatch.setattr(run, "ProcessPoolExecutor", Counted)
    monkeypatch.setattr(run, "NETWORK_WORLDS", 1)
    small = {"filters": 4, "market_units": 4, "sentiment_units": 4, "hidden": 4}
    fits = {"seeds": 3, "epochs": 1, "max_rows": 200, "device": "cpu"}
    sections = {"network": small, "training": fits, "walk_forward": {"folds": 1}}
    sections |= {"verdict": {"forecaster": "network", "planted_draws": 0, "draws": 200}}
    config = settings_for_worlds(Config(), {**sections, "target": {"names": ("return",)}})
    path, cells = tmp_path / "worlds.csv", plan("develop", ("nothing",), (), 2600, 2)
    run_worlds(cells, config, path)
    assert (len(begun), [row["world"] for row in read_rows(path)]) == (2, ["0", "1"])
    run_worlds(cells, config, path)
    assert len(begun) == 2, "both are there"
