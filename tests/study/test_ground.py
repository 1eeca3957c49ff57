"""What a study stands on: whose span, which texts, which subject."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from moodtape.config import Config
from moodtape.errors import DataMissing, UsageError
from moodtape.ingest.importer import ImportOptions, import_file
from moodtape.storage.db import Warehouse
from moodtape.study.ground import Ground, Question, lay_ground, settle_request

START = datetime(2024, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
END = START + 720 * HOUR
DECISION = timedelta(seconds=120)


def span_of(warehouse: Warehouse, config: Config, question: Question) -> tuple[datetime, datetime]:
    request, _, _ = settle_request(warehouse, config, question)
    assert request.span is not None
    return request.span.since, request.span.until


def known(warehouse: Warehouse, which: str) -> datetime:
    with warehouse.read() as connection:
        found = connection.execute(f"SELECT {which}(known_at) FROM document").fetchall()
    at: datetime = found[0][0]
    return at.astimezone(UTC)


def test_a_study_begins_with_the_hour_of_its_first_text_and_ends_with_its_last(
    warehouse: Warehouse, config: Config
) -> None:
    first, last = known(warehouse, "min"), known(warehouse, "max")
    since, until = span_of(warehouse, config, Question())
    assert since == START + 120 * HOUR
    assert since <= first < since + HOUR
    assert until == min(last, END) + HOUR
    _, _, notes = settle_request(warehouse, config, Question())
    assert notes == ("the study begins with the first text",)


def test_a_study_of_metrics_begins_with_the_first_of_them(
    warehouse: Warehouse, config: Config
) -> None:
    since, until = span_of(warehouse, config, Question("onchain"))
    known_first = datetime(2024, 1, 4, 6, tzinfo=UTC)  # 3 January, known six hours after its end
    known_last = datetime(2024, 1, 21, 6, tzinfo=UTC)
    assert (since, until) == (known_first, known_last + HOUR)


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [
        (START + 200 * HOUR, None, (START + 200 * HOUR, END + HOUR)),
        (START + 10 * HOUR, START + 300 * HOUR, (START + 10 * HOUR, START + 300 * HOUR)),
        (None, START + 300 * HOUR, (START + 120 * HOUR, START + 300 * HOUR)),
        (START - 99 * HOUR, END + 99 * HOUR, (START, END + HOUR)),
    ],
)
def test_the_users_ends_win_and_are_cut_to_the_bars(
    warehouse: Warehouse,
    config: Config,
    since: datetime | None,
    until: datetime | None,
    expected: tuple[datetime, datetime],
) -> None:
    assert span_of(warehouse, config, Question(since=since, until=until)) == expected


def test_a_span_without_bars_says_how_far_they_reach(warehouse: Warehouse, config: Config) -> None:
    question = Question(since=END + 5 * HOUR)
    with pytest.raises(DataMissing, match="reach from 2024-01-01 to 2024-01-31") as caught:
        settle_request(warehouse, config, question)
    assert "No 1h bars of BTC between --since and --until" in str(caught.value)


def test_the_dataset_decides_only_inside_the_span(ground: Ground) -> None:
    rows = ground.dataset.decisions(ground.config.network.lookback_bars)
    decided = ground.dataset.decision_time[rows]
    assert decided.min().item().replace(tzinfo=UTC) == START + 120 * HOUR + DECISION
    assert decided.max().item().replace(tzinfo=UTC) == END + DECISION
    assert ground.span.until <= END + HOUR


def test_as_of_leaves_out_what_was_not_known(warehouse: Warehouse, config: Config) -> None:
    as_of = START + 600 * HOUR
    early = lay_ground(warehouse, config, Question(as_of=as_of))
    assert early.dataset.cutoff.max().item().replace(tzinfo=UTC) == as_of
    assert early.request.as_of == as_of


def test_texts_without_a_score_stop_a_study_with_the_command_that_scores_them(
    config: Config, tmp_path: Path
) -> None:
    made = Warehouse(tmp_path / "w.duckdb")
    bars = [f"{START + i * HOUR:%Y-%m-%dT%H:%MZ},1,2,1,2" for i in range(300)]
    store(made, tmp_path, config, "bars", "open_time,open,high,low,close", bars)
    texts = [f"{START + 100 * HOUR:%Y-%m-%dT%H:%MZ},Bitcoin soars"]
    store(made, tmp_path, config, "documents", "published_at,title", texts)
    with pytest.raises(
        DataMissing, match=r"1 texts .* not scored by lexicon\. Run: moodtape score"
    ):
        lay_ground(made, config, Question())
    before = Question(since=START, until=START + 99 * HOUR)
    settle_request(made, config, before)  # texts after the span need no score


def test_a_subject_without_columns_names_the_command_that_brings_them(
    make_config: Callable[..., Config], tmp_path: Path
) -> None:
    config = make_config()
    made = Warehouse(tmp_path / "w.duckdb")
    bars = [f"{START + i * HOUR:%Y-%m-%dT%H:%MZ},1,2,1,2" for i in range(300)]
    store(made, tmp_path, config, "bars", "open_time,open,high,low,close", bars)
    with pytest.raises(DataMissing, match=r"no scored texts for BTC .* moodtape import documents"):
        lay_ground(made, config, Question())
    with pytest.raises(DataMissing, match=r"no metrics .* moodtape import metrics FILE"):
        lay_ground(made, config, Question("onchain"))


def test_a_subject_outside_the_feature_groups_is_refused(
    warehouse: Warehouse, make_config: Callable[..., Config]
) -> None:
    config = make_config(features={"groups": ["price", "calendar", "sentiment"]})
    with pytest.raises(UsageError, match=r"features\.groups does not hold onchain"):
        lay_ground(warehouse, config, Question("onchain"))
    with pytest.raises(UsageError, match="does not hold mood"):
        lay_ground(warehouse, config, Question("mood"))


def test_the_ground_holds_a_config_that_names_its_subject(
    warehouse: Warehouse, config: Config
) -> None:
    laid = lay_ground(warehouse, config, Question("onchain"))
    assert laid.config.ablation.subject == "onchain"
    assert {arm.subject for arm in laid.arms} == {"onchain"}
    assert config.ablation.subject == "sentiment"


def test_folds_that_never_saw_a_text_in_training_are_said(
    warehouse: Warehouse, make_config: Callable[..., Config], ground: Ground
) -> None:
    assert ground.notes == ("the study begins with the first text",)
    config = make_config(walk_forward={"folds": 2, "min_train_rows": 30})
    early = Question(since=START, until=START + 250 * HOUR)
    (note,) = lay_ground(warehouse, config, early).notes
    assert note.startswith("in 1 of 2 folds no training decision comes after the first text")


def store(
    warehouse: Warehouse, folder: Path, config: Config, what: str, head: str, rows: list[str]
) -> None:
    path = folder / f"{what}.csv"
    path.write_text("\n".join([head, *rows]) + "\n")
    options = ImportOptions(what, symbol="BTC", interval="1h" if what == "bars" else None)
    import_file(warehouse, folder / "staging", path, options, config, f"import {what}", END + HOUR)
