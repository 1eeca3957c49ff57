"""What results.json promises, and which caveats stand in it when."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from moodtape.forecaster.runs import plain
from moodtape.storage.db import Warehouse
from moodtape.storage.looks import LastWord
from moodtape.study.ablate import Outcome
from moodtape.study.before import Before
from moodtape.study.caveats import caveats
from moodtape.study.ground import Ground
from moodtape.study.results import ablation_results

NOW = datetime(2024, 3, 1, tzinfo=UTC)
AUDIT = {"clean": True, "checked": 9, "offenders": [], "cuts": [NOW]}
ANSWER = {
    *("effect_echo", "interval_echo", "detectable", "planted", "best_days_share"),
    *("symbol", "target", "horizon_bars", "forecaster", "decides", "verdict", "sentence"),
    *("reasons", "loss", "effect", "interval", "effect_shift", "interval_shift", "p"),
    *("p_adjusted", "margin", "minimum_detectable_effect", "positive_control", "family_size"),
    *(
        "level",
        "look",
        "audit",
        "run",
        "report",
        "n",
        "blocks",
        "losses",
        "fold_effects",
        "seed_effects",
    ),
    *("dm", "last_word", "beside"),
}
TEXTS = {"source": "news", "collection": "wire", "assumed_share": 0.0, "promotion_share": 0.0,
         "state": "crawled"}  # fmt: skip


@pytest.fixture(scope="module")
def results(warehouse: Warehouse, ground: Ground, outcome: Outcome) -> dict[str, Any]:
    before = Before(0.025, 2, {"BTC return 1": 3})
    return ablation_results(
        warehouse, ground, outcome, AUDIT, before, "run-1", "moodtape ablate", NOW
    )


def test_results_are_json_and_nothing_else(results: dict[str, Any]) -> None:
    text = json.dumps(plain(results), allow_nan=False)
    assert json.loads(text) == plain(results)

    def numbers(value: Any) -> Any:
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, list):
            for part in value:
                yield from numbers(part)
        elif isinstance(value, float):
            yield value

    assert all(math.isfinite(number) for number in numbers(plain(results)))


def test_every_key_that_others_build_on_is_there(results: dict[str, Any]) -> None:
    assert results["schema_version"] == 1
    assert results["command"] == "ablate"
    assert results["warnings"] == []
    assert results["attention"] == [], "nobody asked"
    for answer in results["results"]:
        assert set(answer) == ANSWER
        assert set(answer["p"]) == {"null", "shift", "echo"}
        assert answer["run"] == "run-1"
        assert answer["audit"] == "clean"
        assert answer["family_size"] == 3
        assert answer["interval"][0] <= answer["effect"] <= answer["interval"][1]
        assert sum(f["n"] for f in answer["fold_effects"]) == answer["n"]
    looks = {answer["target"]: answer["look"] for answer in results["results"]}
    assert looks == {"return": 3, "direction": 1, "volatility": 1}


def test_between_looks_the_last_word_stands_with_its_date(
    warehouse: Warehouse, ground: Ground, outcome: Outcome
) -> None:
    said_at = datetime(2024, 2, 3, tzinfo=UTC)
    last = LastWord("does not help", said_at, "run-0", timedelta(days=12))
    before = Before(0.025, 0, {}, {("BTC return 1", "linear"): last})
    made = ablation_results(warehouse, ground, outcome, AUDIT, before, "run-1", "ablate", NOW)
    by_target = {answer["target"]: answer for answer in made["results"]}
    stood = by_target["return"]
    assert stood["verdict"] == "does not help"
    assert stood["p_adjusted"] is None
    assert stood["reasons"] == []
    tested = [fold for fold in ground.folds if len(fold.test)]
    has = (tested[-1].test_until - tested[0].test_from).item()
    due = ground.span.until + 2 * (timedelta(days=15) - has)
    assert stood["last_word"] == {"said_at": said_at, "run": "run-0", "next_look": due}
    assert stood["sentence"] == (
        "Sentiment does not help forecast the return of BTC 1h ahead, as said on 2024-02-03: the"
        " tested time has not grown by a quarter since, so this is no new look (the next is due"
        f" about {due:%Y-%m-%d})."
    )
    assert by_target["direction"]["last_word"] is None
    red = {**AUDIT, "clean": False}
    made = ablation_results(warehouse, ground, outcome, red, before, "run-1", "ablate", NOW)
    assert all(answer["last_word"] is None for answer in made["results"]), "no word was given"


def test_the_figures_are_those_of_the_study(
    results: dict[str, Any], ground: Ground, outcome: Outcome
) -> None:
    for answer in results["results"]:
        losses = answer["losses"]
        real = outcome.studies[0].real
        gain = (losses["null"] - losses[real]) / losses["null"]
        assert answer["effect"] == pytest.approx(gain), answer["target"]
        over = (losses["shift"] - losses[real]) / losses["null"]
        assert answer["effect_shift"] == pytest.approx(over), answer["target"]
        assert {"persistence", "base rate"} <= set(losses)
    assert [f["number"] for f in results["folds"]] == [1, 2]
    assert [f["test"] for f in results["folds"]] == [len(f.test) for f in ground.folds]
    assert [arm["name"] for arm in results["arms"]] == [arm.name for arm in ground.arms]
    columns = {arm["name"]: arm["columns"] for arm in results["arms"]}
    assert set(columns) == {"full", "null", "shift", "echo", "planted"}
    assert len(set(columns.values())) == 1, "every arm has the columns of the real one"


def test_further_tests_describe_each_question(results: dict[str, Any], outcome: Outcome) -> None:
    pairs = {row["target"]: row for row in results["further"]["pairs"]}
    assert set(pairs) == {"return", "direction", "volatility"}
    assert pairs["direction"]["clark_west"] is None, "squared error alone"
    assert 0 <= pairs["return"]["clark_west"]["p"] <= 1
    assert pairs["return"]["pesaran_timmermann"] is None
    assert all(0 <= row["giacomini_white"]["p"] <= 1 for row in pairs.values())
    for table in results["further"]["tables"]:
        assert table["best"] in table["models"]
        assert table["benchmark"] == "persistence"
        assert 0 <= table["spa_p"] <= 1
        assert 0 <= table["pbo"] <= 1
        assert set(table["mcs"]) <= set(table["models"])
        losses = next(a["losses"] for a in results["results"] if a["target"] == table["target"])
        real = outcome.studies[0].real
        named = {name.removeprefix("linear "): name for name in table["models"]}
        best = min((name for name in named if name != "persistence"), key=losses.__getitem__)
        assert losses[best] == losses[table["best"].removeprefix("linear ")]
        assert f"linear {real}" in table["models"]


def test_texts_are_counted_as_far_as_the_study_reads_them(
    results: dict[str, Any], warehouse: Warehouse, ground: Ground
) -> None:
    with warehouse.read() as connection:
        inside = connection.execute(
            "SELECT count(*) FROM document WHERE known_at >= ? AND known_at < ?",
            [ground.span.since, ground.span.until],
        ).fetchall()[0][0]
    assert results["texts_used"] == inside > 400
    assert results["kinds"] is None, "the lexicon tells no kinds"
    assert results["question"]["scorer"] == ground.request.scorer


def test_a_study_without_texts_speaks_of_none(
    warehouse: Warehouse, ground: Ground, outcome: Outcome
) -> None:
    dry = replace(ground, dataset=replace(ground.dataset, streams=()))
    results = ablation_results(warehouse, dry, outcome, AUDIT, Before(0.025), "run-1", "x", NOW)
    assert results["texts_used"] == 0
    assert results["coverage"] == []
    assert results["question"]["scorer"] is None
    assert not any("scorer" in text for text in results["caveats"])


def test_a_red_audit_stands_beside_every_answer(
    warehouse: Warehouse, ground: Ground, outcome: Outcome
) -> None:
    red = {**AUDIT, "clean": False}
    results = ablation_results(warehouse, ground, outcome, red, Before(0.025), "run-1", "x", NOW)
    assert {answer["audit"] for answer in results["results"]} == {"red"}


@pytest.fixture
def calm(ground: Ground) -> Ground:
    """Return a ground that nothing is to be said against."""
    targets = {key: replace(t, left_out=0) for key, t in ground.dataset.targets.items()}
    dataset = replace(ground.dataset, notes={}, metrics=(), targets=targets)
    old = ground.span.since - timedelta(days=1)
    return replace(ground, dataset=dataset, notes=(), trained_until=old)


def said(ground: Ground, **texts: Any) -> list[str]:
    """Return the caveats of a study of some texts."""
    return caveats(ground, [{**TEXTS, **texts}])


def test_nothing_is_said_without_cause(calm: Ground) -> None:
    assert said(calm) == []


@pytest.mark.parametrize(
    ("promotion", "what"), [("keep", "count as the others do"), ("leave_out", "are left out")]
)
def test_a_share_of_promotion_is_said_with_what_becomes_of_it(
    calm: Ground, promotion: str, what: str
) -> None:
    assert said(calm, promotion_share=0.02) == []
    sentiment = calm.config.sentiment.model_copy(update={"promotion": promotion})
    config = calm.config.model_copy(update={"sentiment": sentiment})
    assert said(replace(calm, config=config), promotion_share=0.19) == [
        f"Of the texts of news/wire, 19 % look like promotion or like bots; they {what}."
    ]


@pytest.mark.parametrize(("share", "told"), [(0.05, False), (0.06, True), (1.0, True)])
def test_assumed_stamps_are_said_above_one_in_twenty(
    calm: Ground, share: float, told: bool
) -> None:
    found = said(calm, assumed_share=share)
    assert bool(found) == told
    if told:
        assert found == [
            f"Of the texts of news/wire, {round(100 * share)} % have no collection time; they"
            " count as known at publication plus an assumed delay."
        ]


def test_a_crawl_that_is_not_stated(calm: Ground) -> None:
    (text,) = said(calm, state="partial")
    assert text.startswith("Hours without a text of news/wire count as unknown")


def test_the_scorers_age(calm: Ground) -> None:
    assert said(replace(calm, trained_until=calm.span.since)) == []
    (later,) = said(replace(calm, trained_until=datetime(2026, 11, 24, tzinfo=UTC)))
    assert "on what was known until 2026-11-24 00:00Z" in later
    assert later.endswith("it may have read the future.")
    (unknown,) = said(replace(calm, trained_until=None))
    assert "made at an unknown time" in unknown
    assert caveats(replace(calm, trained_until=None), []) == [], (
        "without texts nobody asks how old the scorer is"
    )


def test_holes_corrections_metrics_and_what_was_left_out(calm: Ground) -> None:
    targets = dict(calm.dataset.targets)
    targets["direction_1"] = replace(targets["direction_1"], left_out=4)
    targets["volatility_1"] = replace(targets["volatility_1"], left_out=5)
    notes = {"missing_bars": 61, "corrected_bars": 2}
    dataset = replace(
        calm.dataset, notes=notes, targets=targets, metrics=("AdrActCnt@coinmetrics",)
    )
    found = said(replace(calm, dataset=dataset, notes=("the study begins with the first text",)))
    assert [text.split(";")[0].split(",")[0] for text in found] == [
        "The study begins with the first text.",
        "61 bars are missing",
        "2 bars were corrected later",
        "Metrics were imported in one vintage: values are those known today",
        "4 returns of exactly zero have no direction and are left out of it.",
        "5 bars without movement count with a volatility of one basis point.",
    ]


def test_a_fold_without_a_test_has_no_effect_and_breaks_nothing(
    warehouse: Warehouse, ground: Ground, outcome: Outcome
) -> None:
    first, last = ground.folds
    hole = replace(last, number=1, test=last.test[:0], test_from=first.test_until)
    holed = replace(ground, folds=(first, hole, replace(last, number=2)))
    answers = outcome.studies[0]
    fold = 2 * answers.fold  # the second of three was not tested
    told = replace(outcome, studies=(replace(answers, fold=fold), *outcome.studies[1:]))
    results = ablation_results(warehouse, holed, told, AUDIT, Before(0.025), "run-1", "x", NOW)
    for answer in results["results"]:
        assert [f["fold"] for f in answer["fold_effects"]] == [1, 3]
    assert [f["test"] for f in results["folds"]][1] == 0
