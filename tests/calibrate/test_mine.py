"""Worlds like a user's own: their kind of bars and texts, and none of what the texts knew."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from moodtape.calibrate import mine as of_mine
from moodtape.calibrate.mine import MINE, MINE_KINDS, Mine, draw_like, read_mine
from moodtape.calibrate.rewrite import Rewriter, apart
from moodtape.calibrate.study import ground_of_world, settings_like_mine
from moodtape.calibrate.worlds import World, draw_world
from moodtape.config import Config
from moodtape.errors import DataMissing, UsageError
from moodtape.forecaster.claims import TONE
from moodtape.forecaster.grid import bar_grid
from moodtape.storage.db import Warehouse
from moodtape.study.ablate import run_ablation
from moodtape.testing import store_market, synthetic_market

HOUR = timedelta(hours=1)
WEEK = 168


def mine_of(world: World) -> Mine:
    """Return a drawn world as if it was a user's."""
    opens = pd.date_range(world.sums["hour"].iloc[0], periods=len(world.sums), freq="h")
    opens = opens.tz_localize(None).to_numpy("datetime64[us]")
    grid = bar_grid(world.bars, opens, opens + np.timedelta64(1, "h"))
    return Mine(world.symbol, grid, world.texts, world.streams, world.span, HOUR)


@pytest.fixture(scope="module")
def knowing() -> Mine:
    """Return forty weeks whose texts know a third of every next move."""
    return mine_of(draw_world(np.random.default_rng(8), "return", 40 * WEEK, 0.33))


def on_grid(world: World, mine: Mine, column: str) -> np.ndarray:
    """Return a column of the bars on the grid, NaN where there is no bar."""
    frame = world.bars.set_index(world.bars["open_time"].dt.tz_localize(None))
    return frame[column].reindex(mine.grid.open_time).to_numpy("float64")


def worth_of_texts(mine: Mine, worlds: list[World]) -> float:
    """Return the largest |t| of texts beside past prices and the hour, for the next answers."""
    import statsmodels.api as sm

    rows, answers = [], []
    for world in worlds:
        bars = {
            name: on_grid(world, mine, name) for name in ("open", "high", "low", "close", "volume")
        }
        sums = world.sums.set_index(world.sums["hour"].dt.tz_localize(None)).reindex(mine.hours)
        n = sums["n"].fillna(0).to_numpy()
        tone = np.where(n > 0, sums["sum_tone"].fillna(0) / np.maximum(n, 1) * 1e-6, 0.0)
        turn = 2 * np.pi * np.arange(len(n)) / 24
        x = np.column_stack(
            [mine.told(bars), np.cos(turn), np.sin(turn), np.ones(len(n)), tone, np.log1p(n)]
        )
        move = np.log(bars["close"] / bars["open"])
        answer = np.column_stack([move, np.log(np.abs(move) + 1e-4)])
        rows.append(x[200:-1])
        answers.append(answer[201:])
    x, y = np.vstack(rows), np.vstack(answers)
    there = ~np.isnan(x).any(axis=1) & ~np.isnan(y).any(axis=1)
    fits = [sm.OLS(each[there], x[there]).fit(cov_type="HC0") for each in y.T]
    return max(float(np.abs(fit.tvalues[-2:]).max()) for fit in fits)


def drawn(mine: Mine, kind: str, count: int, gain: float = 0.0) -> list[World]:
    return [draw_like(np.random.default_rng(seed), mine, kind, gain) for seed in range(count)]


def test_texts_tell_nothing_that_prices_do_not_whatever_the_users_texts_knew(knowing: Mine) -> None:
    assert worth_of_texts(knowing, drawn(knowing, MINE, 20)) < 3


def test_noise_of_the_same_week_as_the_bars_would_bring_it_back(
    knowing: Mine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks that are drawn apart meet by chance, in one hour of forty: enough to be seen."""
    monkeypatch.setattr(of_mine, "apart", lambda rows, of_bars: rows)
    assert worth_of_texts(knowing, drawn(knowing, MINE, 20)) > 3


def test_no_hour_has_its_noise_from_where_the_bars_around_it_are_from() -> None:
    rng, count = np.random.default_rng(0), 30 * WEEK
    at = np.arange(count)
    rows, bars = (
        at + WEEK * np.repeat(rng.integers(0, 3, count // 60 + 1), 60)[:count] for _ in range(2)
    )
    rows, bars = np.minimum(rows, count - 1), np.minimum(bars, count - 1)
    assert (rows == bars).mean() > 0.2
    found = apart(rows, bars)
    inner = slice(0, count - 4 * WEEK)
    for lead in (0, 1, 24, 48):
        meets = (found - at)[inner] == np.roll(bars - at, -lead)[inner]
        assert not meets.any(), lead
    assert ((found - rows) % WEEK == 0).all(), "the hour of the week stays"
    assert (found >= 0).all()
    assert (found < count).all()


@pytest.mark.parametrize("kind", MINE_KINDS[1:])
def test_an_effect_is_planted_on_top(kind: str) -> None:
    quiet = mine_of(draw_world(np.random.default_rng(2), "nothing", 40 * WEEK))
    assert worth_of_texts(quiet, drawn(quiet, kind, 3, 0.03)) > 5
    world = drawn(quiet, kind, 1, 0.03)[0]
    assert world.gains[TONE][kind.split()[1]] == 0.03
    assert not any(gain for own in drawn(quiet, MINE, 1)[0].gains.values() for gain in own.values())


def test_bars_and_texts_are_of_the_users_kind(knowing: Mine) -> None:
    world = draw_like(np.random.default_rng(1), knowing, MINE)
    moves = np.log(world.bars["close"] / world.bars["open"])
    own = np.log(knowing.grid.first["close"] / knowing.grid.first["open"])
    assert moves.std() == pytest.approx(np.nanstd(own), rel=0.15)
    assert (world.bars["high"] >= world.bars[["open", "close"]].max(axis=1) - 1e-9).all()
    assert (world.bars["low"] <= world.bars[["open", "close"]].min(axis=1) + 1e-9).all()
    own_sums, sums = knowing.texts.sums, world.sums
    assert sums["n"].mean() == pytest.approx(own_sums["n"].mean(), rel=0.1)
    tone, own_tone = (s["sum_tone"] / s["n"].clip(1) / 1e6 for s in (sums, own_sums))
    assert tone.std() == pytest.approx(own_tone.std(), rel=0.15)
    again = draw_like(np.random.default_rng(1), knowing, MINE)
    pd.testing.assert_frame_equal(world.bars, again.bars)
    pd.testing.assert_frame_equal(world.sums, again.sums)
    assert not world.bars["close"].equals(draw_like(np.random.default_rng(2), knowing, MINE).bars)


def test_an_echo_stays_an_echo() -> None:
    mine = mine_of(draw_world(np.random.default_rng(3), "echo", 40 * WEEK))
    world = draw_like(np.random.default_rng(0), mine, MINE)
    body = np.nan_to_num(np.log(on_grid(world, mine, "close") / on_grid(world, mine, "open")))
    sums = world.sums.set_index(world.sums["hour"].dt.tz_localize(None)).reindex(mine.hours)
    tone = (sums["sum_tone"] / sums["n"].clip(1)).fillna(0).to_numpy()
    assert np.corrcoef(tone, body)[0, 1] > 0.3
    assert abs(np.corrcoef(tone[:-2], body[2:])[0, 1]) < 0.05


def test_texts_of_an_hour_are_made_of_bars_that_are_over(knowing: Mine) -> None:
    """Change every bar from some hour on: no text before it may change."""
    bars = {name: values.copy() for name, values in knowing.grid.first.items()}
    rows = np.arange(len(knowing.hours))[::-1].copy()
    before = knowing.rewriter.rewritten(knowing.told(bars), rows)
    cut = 3000
    for values in bars.values():
        values[cut:] *= 1.5
    after = knowing.rewriter.rewritten(knowing.told(bars), rows)
    at = pd.Timestamp(knowing.hours[cut], tz="UTC")
    pd.testing.assert_frame_equal(before[before["hour"] < at], after[after["hour"] < at])
    assert not before[before["hour"] >= at].equals(after[after["hour"] >= at])


def test_hours_that_nobody_watched_stay_so_and_every_series_keeps_its_place() -> None:
    world = draw_world(np.random.default_rng(4), "nothing", 12 * WEEK)
    gap = (world.sums["hour"] >= world.sums["hour"].iloc[500]) & (
        world.sums["hour"] < world.sums["hour"].iloc[600]
    )
    sums = world.sums[~gap]
    market = sums.assign(symbol="MARKET", n=1, n_stale=2)
    both = pd.concat([sums, market], ignore_index=True)
    texts = replace(
        world.texts, sums=both, seen=sums[["source", "hour"]], coverage=world.texts.coverage[:0]
    )
    mine = replace(mine_of(world), texts=texts)
    made = draw_like(np.random.default_rng(0), mine, MINE).sums
    assert set(made["symbol"]) == {"BTC", "MARKET"}
    assert not made["hour"].isin(world.sums["hour"][gap]).any()
    assert set(made.loc[made["symbol"] == "MARKET", "n_stale"]) == {2}
    assert (made["n"] >= 0).all()
    assert list(made.dtypes) == list(both[made.columns].dtypes)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project of fourteen weeks, texts from its third week on."""
    folder = tmp_path_factory.mktemp("mine")
    (folder / "moodtape.toml").write_text(
        '[sentiment]\nscorer = "lexicon"\nhalf_lives_h = [6.0]\n'
        "[network]\nlookback_bars = 12\nsentiment_lookback_bars = 6\n"
        "[walk_forward]\nfolds = 2\n[verdict]\ndraws = 200\n"
    )
    market = synthetic_market(np.random.default_rng(5), 14 * WEEK, driven="return", gain=0.3)
    texts = market.documents
    first = texts["published_at"].min() + 2 * WEEK * HOUR
    market = replace(market, documents=texts[texts["published_at"] >= first])
    config = Config.model_validate({"sentiment": {"scorer": "lexicon"}})
    store_market(Warehouse(folder / "moodtape.duckdb"), folder / "files", market, config)
    return folder


def told(capsys: pytest.CaptureFixture[str], folder: Path, **flags: Any) -> dict[str, Any]:
    from moodtape.commands.calibrate import calibrate

    calibrate(1, like_mine=True, project=folder, as_json=True, **flags)
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_the_command_reads_the_project(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "mine.csv"
    found = told(capsys, project, gain=[0.2], out=out)
    assert {row["kind"] for row in found["false_words"]} == set(MINE_KINDS)
    said = {(row["kind"], row["target"]): row["helps"]["count"] for row in found["power"]}
    assert said["mine return", "return"] == 1, "an effect of a fifth is found"
    lines = out.read_text()
    told(capsys, project, gain=[0.2], out=out)
    assert out.read_text() == lines, "nothing is done again"
    logged = [json.loads(x) for x in (tmp_path / "mine.csv.runs.jsonl").read_text().splitlines()]
    assert len({line["like"] for line in logged}) == 1
    with pytest.raises(UsageError, match="is none of mine"):
        told(capsys, project, kind=["echo"], out=out)
    with pytest.raises(UsageError, match="one of --fresh-bars"):
        told(capsys, project, fresh_bars=1000, out=out)


def test_what_the_study_of_such_a_world_stands_on(project: Path) -> None:
    from moodtape.settings import load_settings

    config = settings_like_mine(load_settings(project).config, {"verdict": {"planted_draws": 0}})
    mine = read_mine(Warehouse(project / "moodtape.duckdb"), config)
    assert mine.streams == ("news", "news_market")
    assert len(mine.hours) == len(mine.grid.open_time) > 12 * WEEK
    world = draw_like(np.random.default_rng(0), mine, MINE)
    ground = ground_of_world(world, config)
    assert ground.span.since >= mine.span.since
    words = {a.target: a.verdict.word for a in run_ablation(ground, True).answers}
    assert "helps" not in words.values()


def test_too_few_weeks_are_refused(project: Path, tmp_path: Path) -> None:
    from moodtape.settings import load_settings

    market = synthetic_market(np.random.default_rng(5), 7 * WEEK)
    config = settings_like_mine(load_settings(project).config, {})
    warehouse = Warehouse(tmp_path / "moodtape.duckdb")
    store_market(warehouse, tmp_path / "files", market, config)
    with pytest.raises(DataMissing, match="less than 8 weeks"):
        read_mine(warehouse, config)


def test_what_prices_tell_is_fitted_on_the_users_own_bars(knowing: Mine) -> None:
    """A rewriter of other bars with the same texts tells other things."""
    turned = Rewriter(knowing.hours, knowing.rewriter.history[::-1], knowing.rewriter.series)
    rows = np.arange(len(knowing.hours))
    history = knowing.told(knowing.grid.first)
    assert not turned.rewritten(history, rows).equals(knowing.rewriter.rewritten(history, rows))
    same = knowing.rewriter.rewritten(history, rows)
    own = knowing.texts.sums
    assert np.abs(same["n"].to_numpy() - own["n"].to_numpy()).max() <= 1, "their own rest is theirs"
