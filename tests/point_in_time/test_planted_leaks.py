"""The audit is itself audited: each planted leak is caught and named, the clean line gives none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from moodtape.audit import AuditResult, cells
from moodtape.config import AblationSection, Config
from moodtape.forecaster import arima, dataset, rows, splits, texts
from moodtape.forecaster.boosting import fit_predict_boosting
from moodtape.forecaster.calibration import fit_calibration
from moodtape.forecaster.features.base import PRICE, REGISTRY, Feature
from moodtape.forecaster.features.rolling import lagged
from moodtape.forecaster.forecasters import BOOSTING, FORECASTERS
from moodtape.forecaster.scaling import Scaler
from moodtape.storage import db, read

if TYPE_CHECKING:
    from tests.point_in_time.conftest import Study

Patch = pytest.MonkeyPatch
START, HOUR = datetime(2025, 3, 1, tzinfo=UTC), timedelta(hours=1)
TESTED = START + timedelta(hours=470, minutes=2)
"""A decision among the tested ones of the first fold, at which audits here cut."""


def run(study: Study, *cuts: datetime, **options: Any) -> AuditResult:
    return study.audit(cuts=cuts or (TESTED,), **options)


def columns(result: AuditResult) -> list[str]:
    return [offender.column for offender in result.offenders]


def look_ahead(result: AuditResult, column: str) -> timedelta:
    by_column = {offender.column: offender for offender in result.offenders}
    assert column in by_column, f"{column} is not among {sorted(by_column)}"
    ahead = by_column[column].looked_ahead
    assert ahead is not None, f"{column} is named without how far it looked"
    return ahead


def patch_query(patch: Patch, module: Any, name: str, change: Callable[[str], str]) -> None:
    """Change the text of one query where a module reads it."""
    original = db.query

    def leaky(asked: str) -> str:
        text = original(asked)
        if asked != name:
            return text
        changed = change(text)
        assert changed != text, f"the plant does not fit {name}.sql any more"
        return changed

    patch.setattr(module, "query", leaky)


def test_the_clean_line_has_no_offenders(study: Study) -> None:
    every = study.config.model_copy(
        update={
            "target": study.config.target.model_copy(
                update={"names": ("return", "direction", "volatility"), "horizons": (1,)}
            ),
            "ablation": Config().ablation,
        }
    )
    result = replace(study, config=every).audit(cuts=4)
    assert result.clean, result.sentence()
    assert result.checked > 100_000
    assert len(result.cuts) == 4


def test_texts_by_publication(study: Study, monkeypatch: Patch) -> None:
    patch_query(
        monkeypatch,
        db,
        "hourly_sentiment",
        lambda sql: sql.replace("date_trunc('hour', known_at)", "date_trunc('hour', published_at)"),
    )
    result = run(study)
    assert not result.clean
    assert result.offenders[0].column.startswith(("news.", "reddit.", "news_market."))


def without_promotion(study: Study) -> Study:
    sentiment = study.config.sentiment.model_copy(update={"promotion": "leave_out"})
    return replace(study, config=study.config.model_copy(update={"sentiment": sentiment}))


def test_texts_that_are_told_again_later_are_no_promotion(study: Study, monkeypatch: Patch) -> None:
    assert run(without_promotion(study)).clean
    patch_query(
        monkeypatch,
        db,
        "hourly_sentiment",
        lambda sql: sql.replace(
            "WHEN r.times >= $repeat_times AND list_contains($repeat_sources, document.source)",
            """WHEN list_contains($repeat_sources, document.source) AND repeat_key IN (
                SELECT repeat_key FROM document
                GROUP BY repeat_key HAVING count(*) > 1 AND $repeat_times > 0
            )""",
        ),
    )
    result = run(without_promotion(study))
    assert not result.clean
    assert result.offenders[0].column.startswith("reddit.")


def test_polls_in_the_hour_before_their_own(study: Study, monkeypatch: Patch) -> None:
    patch_query(
        monkeypatch,
        read,
        "poll_hours",
        lambda sql: sql.replace(
            "date_trunc('hour', polled_at) AS hour",
            "date_trunc('hour', polled_at - INTERVAL 1 HOUR) AS hour",
        ),
    )
    result = run(study)
    assert not result.clean
    assert result.offenders[0].column.startswith("news_polls.")


@pytest.mark.usefixtures("distance")
def test_metric_on_its_own_day(study: Study, monkeypatch: Patch) -> None:
    patch_query(
        monkeypatch,
        read,
        "metrics_as_of",
        lambda sql: sql.replace(
            "FROM metric\n", "FROM (SELECT * REPLACE (period_start AS known_at) FROM metric)\n"
        ),
    )
    result = run(study)
    assert columns(result)[0].startswith("AdrActCnt@coinmetrics.")
    # A day's value is known six hours after it, so its first decision looked 30 hours ahead;
    # a restatement would even reach back from any later time.
    assert look_ahead(result, "AdrActCnt@coinmetrics.level") > timedelta(hours=14)


@pytest.mark.usefixtures("distance")
def test_scaling_over_all_rows(study: Study, monkeypatch: Patch) -> None:
    honest = Scaler.fit

    def over_all(features: Any, symbol: Any, rows: Any, *rest: Any) -> Scaler:
        return honest(features, symbol, np.arange(len(features)), *rest)

    monkeypatch.setattr(Scaler, "fit", over_all)
    result = run(study)
    assert columns(result)[0].startswith("fold 1 scaled ")
    assert "fold 1 forecast return_1, linear" in columns(result)
    assert not {c for c in columns(result) if not c.startswith("fold ")}
    # The first row of all is scaled by the last ones: 600 hours of bars, 20 days of study.
    ahead = look_ahead(result, columns(result)[0])
    assert timedelta(days=19) < ahead <= timedelta(hours=600)


@pytest.mark.usefixtures("distance")
def test_calibrating_on_tested_rows(study: Study, monkeypatch: Patch) -> None:
    def on_what_is_tested(dataset: Any, rows: Any, at: Any, forecasts: Any) -> Any:
        after = {key: values[len(rows) :] for key, values in forecasts.items()}
        return fit_calibration(dataset, at, after).apply(dataset, at, after)

    monkeypatch.setattr(cells, "calibrated", on_what_is_tested)
    result = run(study)
    assert columns(result), "the leak went unseen"
    assert all(c.startswith("fold 1 calibrated return_") for c in columns(result))


def test_an_interval_as_wide_as_what_is_yet_to_come(study: Study, monkeypatch: Patch) -> None:
    """The trailing miss of a volatility, of answers that are known only after the decision."""
    honest = dataset.trailing_miss

    def ahead(y: Any, horizon_bars: int) -> Any:
        return honest(
            np.concatenate([y[horizon_bars:], np.full(horizon_bars, np.nan)]), horizon_bars
        )

    target = study.config.target.model_copy(update={"names": ("volatility",)})
    calm = replace(study, config=study.config.model_copy(update={"target": target}))
    assert run(calm).clean
    monkeypatch.setattr(dataset, "trailing_miss", ahead)
    result = run(calm)
    assert columns(result), "the leak went unseen"
    assert all(c.startswith("fold 1 calibrated volatility_") for c in columns(result))


@pytest.mark.usefixtures("distance")
def test_centred_mean(study: Study, monkeypatch: Patch) -> None:
    def centred(close: Any) -> Any:
        ahead = lagged(close[::-1], 3)[::-1]
        return (ahead + close + lagged(close, 3)) / 3

    leak = Feature("centred_mean", PRICE, ("close",), 3, "price", centred)
    monkeypatch.setitem(REGISTRY, "centred_mean", leak)
    result = run(study)
    assert columns(result)[0] == "centred_mean"
    # The earliest row that changes is the one whose third bar ahead is the first unknown one.
    assert result.offenders[0].row_time == TESTED - 2 * HOUR
    assert timedelta(hours=2) <= look_ahead(result, "centred_mean") <= timedelta(hours=3)


def test_correction_shown_to_old_decisions(study: Study, monkeypatch: Patch) -> None:
    patch_query(
        monkeypatch,
        read,
        "bars_as_of",
        lambda sql: sql.replace(
            "ORDER BY known_at) AS version", "ORDER BY known_at DESC) AS version"
        ).replace("ORDER BY open_time, known_at", "QUALIFY version = 1 ORDER BY open_time"),
    )
    result = run(study)
    assert "close" in columns(result)
    assert "ret_1" in columns(result)


def test_last_revision_of_a_text(study: Study, monkeypatch: Patch) -> None:
    patch_query(
        monkeypatch,
        db,
        "later_revisions",
        lambda sql: sql.replace("ORDER BY known_at)", "ORDER BY known_at DESC)"),
    )
    result = run(study)
    assert any(c.startswith("news.tone") for c in columns(result)), result.sentence()


def test_removed_posts_left_out(study: Study, monkeypatch: Patch) -> None:
    patch_query(
        monkeypatch,
        db,
        "hourly_sentiment",
        lambda sql: sql.replace(
            "FROM document\nSEMI JOIN dirty_hour",
            "FROM document\nANTI JOIN (SELECT * FROM engagement WHERE removed) AS e"
            "\n    ON e.source = document.source AND e.collection = document.collection"
            " AND e.document_id = document.document_id\nSEMI JOIN dirty_hour",
        ),
    )
    result = run(study)
    assert any(c.startswith("reddit.") for c in columns(result)), result.sentence()


def test_only_popular_posts(study: Study, monkeypatch: Patch) -> None:
    patch_query(
        monkeypatch,
        db,
        "hourly_sentiment",
        lambda sql: sql.replace(
            "FROM document\nSEMI JOIN dirty_hour",
            "FROM document\nSEMI JOIN (SELECT * FROM engagement WHERE likes > 100) AS e"
            "\n    ON e.source = document.source AND e.collection = document.collection"
            " AND e.document_id = document.document_id\nSEMI JOIN dirty_hour",
        ),
    )
    result = run(study)
    assert any(c.startswith("reddit.") for c in columns(result)), result.sentence()


@pytest.mark.parametrize("whose", ["o.repeat_key = t.repeat_key", "o.repeat_key <> t.repeat_key"])
def test_reposts_of_what_is_told_later(study: Study, monkeypatch: Patch, whose: str) -> None:
    """A text that is told again after the cut, in its own words or nearly, is none for that."""
    patch_query(
        monkeypatch,
        db,
        "reposts",
        lambda sql: sql.replace(
            "lag(place, 4) OVER earlier",
            ", ".join(
                f"l{way}(place, {n}) OVER earlier" for way in ("ag", "ead") for n in range(1, 5)
            ),
        ).replace(
            "    epoch_us(t.known_at)",
            f"    (c.of_place < c.place OR {whose}) AND epoch_us(t.known_at)",
        ),
    )
    result = run(study)
    assert any(".repost_share" in c for c in columns(result)), result.sentence()


def test_the_last_of_a_group_counts(study: Study, monkeypatch: Patch) -> None:
    patch_query(
        monkeypatch,
        db,
        "reposts",
        lambda sql: sql.replace("source, key ORDER BY place)", "source, key ORDER BY place DESC)"),
    )
    result = run(study)
    assert any(".repost_share" in c for c in columns(result)), result.sentence()


def test_groups_of_last_revisions(study: Study, monkeypatch: Patch) -> None:
    patch_query(
        monkeypatch,
        db,
        "later_revisions",
        lambda sql: sql.replace("ORDER BY known_at)", "ORDER BY known_at DESC)"),
    )
    result = run(study, *(TESTED + n * 9 * HOUR for n in range(6)))
    assert any(".repost_share" in c for c in columns(result)), result.sentence()


def test_metric_interpolated_across_the_cut(study: Study, monkeypatch: Patch) -> None:
    honest = rows.as_of_values

    def between(known_at: Any, values: Any, period_end: Any, decision_time: Any) -> Any:
        _, age = honest(known_at, values, period_end, decision_time)
        return np.interp(decision_time.astype(float), known_at.astype(float), values), age

    monkeypatch.setattr(rows, "as_of_values", between)
    result = run(study)
    assert columns(result)[0].startswith("AdrActCnt@coinmetrics.")
    assert "AdrActCnt@coinmetrics.age" not in columns(result)


@pytest.mark.usefixtures("distance")
def test_no_purge(study: Study, monkeypatch: Patch) -> None:
    def always_known(data: Any) -> Any:
        return np.full(len(data.cutoff), np.datetime64("1970-01-01", "us"))

    monkeypatch.setattr(splits, "latest_label", always_known)
    result = run(study)
    assert "fold 1 train answers return_6" in columns(result)
    # The last training row's sixth bar closes five bars after the first stopping row's cut-off.
    ahead = look_ahead(result, "fold 1 train answers return_6")
    assert ahead == 5 * HOUR - timedelta(minutes=2)
    # At one bar, the answer is known at the next cut-off: in time for that decision.
    assert "fold 1 train answers return_1" not in columns(result)


def test_fold_edges_by_count_of_rows(study: Study, monkeypatch: Patch) -> None:
    honest = splits.make_folds

    def by_count(data: Any, lookback: int, settings: Any, before: Any = None) -> Any:
        every = data.decisions(lookback)
        cutoff = data.cutoff[every]
        borders = cutoff[[len(every) // 2, 3 * len(every) // 4, -1]]
        folds = honest(data, lookback, settings)
        moved = [
            replace(
                fold,
                test=every[(cutoff >= borders[i]) & (cutoff < borders[i + 1])],
                test_from=borders[i],
                test_until=borders[i + 1],
            )
            for i, fold in enumerate(folds)
        ]
        return [fold for fold in moved if before is None or fold.test_from < before]

    monkeypatch.setattr(splits, "make_folds", by_count)
    result = run(study)
    assert "fold 1 test_from" in columns(result)


def test_the_open_hour(study: Study, monkeypatch: Patch) -> None:
    honest = texts.last_closed_hour
    monkeypatch.setattr(
        texts,
        "last_closed_hour",
        lambda cutoff, hours: np.minimum(honest(cutoff, hours) + 1, len(hours) - 1),
    )
    result = run(study, TESTED, TESTED + 5 * HOUR, TESTED + 9 * HOUR)
    assert ".count_last" in " ".join(columns(result))


def test_share_of_the_highest_close_of_all(study: Study, monkeypatch: Patch) -> None:
    def share(close: Any) -> Any:
        return close / np.nanmax(close)

    leak = Feature("share_of_peak", PRICE, ("close",), 0, "share", share)
    monkeypatch.setitem(REGISTRY, "share_of_peak", leak)
    result = run(study)
    assert columns(result)[0] == "share_of_peak"


def test_hole_filled_from_behind(study: Study, monkeypatch: Patch) -> None:
    def filled(volume: Any) -> Any:
        import pandas as pd

        return pd.Series(volume).shift(-1).where(np.isnan(volume), volume).to_numpy()

    def delayed(volume: Any) -> Any:
        return filled(np.where(np.arange(len(volume)) % 2, volume, np.nan))

    leak = Feature("filled_volume", PRICE, ("volume",), 0, "units", delayed)
    monkeypatch.setitem(REGISTRY, "filled_volume", leak)
    result = run(study, TESTED, TESTED + HOUR)
    assert columns(result)[0] == "filled_volume"


def test_forecasts_standardised_over_the_tested_rows(study: Study) -> None:
    def standardised(data: Any, inputs: Any, fold: Any, rows: Any, *, seed: int) -> dict[str, Any]:
        raw = inputs.market[rows, 0] + seed
        return {"return_1": (raw - raw.mean()) / raw.std()}

    result = run(study, fit_predict=standardised)
    assert columns(result) == [
        "fold 1 forecast return_1, network",
        "fold 1 calibrated return_1, network",
    ]


def test_boosting_on_the_coming_return(study: Study, monkeypatch: Patch) -> None:
    def peeking(data: Any, inputs: Any, fold: Any, rows: Any, *, seed: int) -> Any:
        coming = np.nan_to_num(data.targets["return_1"].y)[:, None]
        told = replace(inputs, market=np.hstack([inputs.market, coming]))
        return fit_predict_boosting(data, told, fold, rows, seed=seed)

    told = replace(FORECASTERS[BOOSTING], open=lambda config: peeking)
    monkeypatch.setitem(FORECASTERS, BOOSTING, told)
    result = run(fitting(study, also=("boosting",), baselines=()))
    assert columns(result)[0] == "fold 1 forecast return_1, boosting"
    assert all(column.endswith(", boosting") for column in columns(result))


def test_arima_fitted_on_what_comes(study: Study, monkeypatch: Patch) -> None:
    def on_all(path: Any, series: Any, length: int, orders: Any) -> None:
        honest(path, series, len(series), orders)

    honest = arima._Path.__init__
    monkeypatch.setattr(arima._Path, "__init__", on_all)
    result = run(fitting(study, also=(), baselines=("arima",)))
    assert columns(result)[0] == "fold 1 forecast return_1, arima"
    assert all(column.endswith(", arima") for column in columns(result))


def fitting(study: Study, **ablation: Any) -> Study:
    """Return the study with other forecasters and baselines."""
    section = AblationSection(**ablation)
    return replace(study, config=study.config.model_copy(update={"ablation": section}))


def test_an_answer_that_claims_to_be_known_at_once(study: Study, monkeypatch: Patch) -> None:
    honest = rows.make_targets

    def hasty(bars: Any, close_time: Any, *rest: Any) -> Any:
        made = honest(bars, close_time, *rest)
        return {key: replace(target, known_at=close_time) for key, target in made.items()}

    monkeypatch.setattr(rows, "make_targets", hasty)
    result = run(study)
    assert {"target return_1", "target return_6"} == set(columns(result)[:2])
