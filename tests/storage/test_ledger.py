"""Trials are entered once and counted by overlap; forecasts stay as they were issued."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from moodtape.storage.db import Warehouse
from moodtape.storage.ledger import (
    EVALUATED,
    Earlier,
    earlier_looks,
    newest_verdicts,
    record_trials,
    store_forecasts,
)
from moodtape.storage.looks import LastWord, last_word

DAY = timedelta(days=1)


@pytest.fixture
def connection(tmp_warehouse: Warehouse) -> Iterator[Any]:
    with tmp_warehouse.write() as opened:
        yield opened


def trial(now: datetime, **changed: Any) -> dict[str, Any]:
    """Return a study of ten days that end at `now`."""
    usual = {
        "config_hash": "a", "symbol": "BTC", "target": "return", "horizon_bars": 1,
        "forecaster": "network", "test_from": now - 10 * DAY, "test_until": now,
        "verdict": "cannot tell",
    }  # fmt: skip
    return usual | changed


def test_a_trial_is_entered_once_and_stays_as_it_was(connection: Any, now: datetime) -> None:
    record_trials(connection, [trial(now)], "run-1", now)
    record_trials(connection, [trial(now, verdict="helps")], "run-2", now + DAY)
    rows = connection.execute("SELECT verdict, run_id, recorded_at FROM trial").fetchall()
    assert [(word, run) for word, run, _ in rows] == [("cannot tell", "run-1")]
    assert rows[0][2] == now


def test_what_was_evaluated_gets_its_word_and_keeps_its_place(
    connection: Any, now: datetime
) -> None:
    record_trials(connection, [trial(now, verdict=EVALUATED)], "run-1", now)
    record_trials(connection, [trial(now)], "run-2", now + DAY)
    record_trials(connection, [trial(now, verdict=EVALUATED)], "run-3", now + 2 * DAY)
    rows = connection.execute("SELECT verdict, run_id, recorded_at FROM trial").fetchall()
    assert rows == [("cannot tell", "run-2", now)]
    other = trial(now, config_hash="b")
    assert earlier_looks(connection, other).configs == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"config_hash": "b"}, {"symbol": "ETH"}, {"target": "direction"}, {"horizon_bars": 4},
        {"forecaster": "linear"}, {"test_from": "earlier"}, {"test_until": "later"},
        {"claim": "attention"},
    ],
)  # fmt: skip
def test_another_question_is_another_trial(
    connection: Any, now: datetime, changed: dict[str, Any]
) -> None:
    moved = {"earlier": now - 11 * DAY, "later": now + DAY}
    other = trial(now, **{k: moved.get(str(v), v) for k, v in changed.items()})
    record_trials(connection, [trial(now), other], "run-1", now)
    assert connection.execute("SELECT count(*) FROM trial").fetchall() == [(2,)]


@pytest.mark.parametrize(
    ("shift_d", "counted"), [(0, 1), (4, 1), (5, 0), (6, 0), (-4, 1), (-5, 0), (40, 0)]
)
def test_looks_at_more_than_half_of_the_same_time_count(
    connection: Any, now: datetime, shift_d: int, counted: int
) -> None:
    record_trials(connection, [trial(now)], "run-1", now)
    moved = timedelta(days=shift_d)
    present = trial(now, config_hash="b", test_from=now - 10 * DAY + moved, test_until=now + moved)
    assert earlier_looks(connection, present).configs == counted


def test_a_short_look_inside_a_long_one_was_seen_whole(connection: Any, now: datetime) -> None:
    record_trials(connection, [trial(now)], "run-1", now)
    inside = trial(now, config_hash="b", test_from=now - 3 * DAY, test_until=now - 2 * DAY)
    assert earlier_looks(connection, inside).configs == 1
    around = trial(now, config_hash="b", test_from=now - 30 * DAY)
    assert earlier_looks(connection, around) == Earlier(), "a third of it was seen"


def test_only_other_configs_of_the_same_question_are_looks(connection: Any, now: datetime) -> None:
    entered = [
        trial(now),
        trial(now, forecaster="linear"),  # the same study
        trial(now, config_hash="b"),
        trial(now, config_hash="c", symbol="ETH"),
        trial(now, config_hash="d", target="volatility"),
        trial(now, config_hash="e", horizon_bars=24),
    ]
    record_trials(connection, entered, "run-1", now)
    assert earlier_looks(connection, trial(now)) == Earlier(), "all were entered at once"
    found = earlier_looks(connection, trial(now, config_hash="z"))
    assert found == Earlier(configs=2, spans=0, hypotheses=5)
    assert found.look == 3


def test_a_second_claim_is_a_hypothesis_of_its_own_and_no_look_at_the_first(
    connection: Any, now: datetime
) -> None:
    second = trial(now, claim="attention", verdict="helps")
    record_trials(connection, [trial(now, claim="tone"), second], "run-1", now)
    found = earlier_looks(connection, trial(now, config_hash="b"))
    assert found == Earlier(configs=1, spans=0, hypotheses=2)
    longer = trial(now, test_until=now + DAY)
    assert earlier_looks(connection, longer) == Earlier(spans=1), "one record, one earlier look"
    stands = last_word(connection, longer)
    assert stands is not None
    assert stands.verdict == "cannot tell"
    stands = last_word(connection, {**longer, "claim": "attention"})
    assert stands is not None
    assert stands.verdict == "helps"
    assert newest_verdicts(connection) == {"BTC return 1 network": "cannot tell"}


def test_a_trial_of_before_there_were_claims_is_one_of_the_tone(
    connection: Any, now: datetime
) -> None:
    record_trials(connection, [trial(now)], "run-1", now)
    record_trials(connection, [trial(now, claim="tone", verdict="helps")], "run-2", now)
    rows = connection.execute("SELECT claim, verdict FROM trial").fetchall()
    assert rows == [("tone", "cannot tell")], "a rerun, under the hash it had"


def test_a_rerun_counts_what_stood_there_when_it_was_first_run(
    connection: Any, now: datetime
) -> None:
    for day, name in enumerate("abc"):
        record_trials(connection, [trial(now, config_hash=name)], f"run-{name}", now + day * DAY)
    looks = [earlier_looks(connection, trial(now, config_hash=name)).look for name in "abcd"]
    assert looks == [1, 2, 3, 4]


def test_the_same_config_over_a_longer_span_is_the_next_look(
    connection: Any, now: datetime
) -> None:
    for day in range(3):
        longer = trial(now, test_until=now + day * DAY)
        assert earlier_looks(connection, longer) == Earlier(spans=day)
        record_trials(connection, [longer], f"run-{day}", now + day * DAY)
    assert earlier_looks(connection, trial(now)) == Earlier(), "a rerun of the first"
    much_later = trial(now, test_from=now + 20 * DAY, test_until=now + 30 * DAY)
    assert earlier_looks(connection, much_later) == Earlier(), "other data"
    linked = trial(now, test_until=now + 25 * DAY, test_from=now + 5 * DAY)
    record_trials(connection, [linked], "run-4", now + 4 * DAY)
    assert earlier_looks(connection, much_later).spans == 1
    touching = trial(now, test_from=now + DAY, test_until=now + 6 * DAY)
    record_trials(connection, [touching], "run-5", now + 5 * DAY)
    assert earlier_looks(connection, much_later).spans == 5, "one record, that grew"


def grown(now: datetime, days: float, **changed: Any) -> dict[str, Any]:
    """Return a study over a longer span; its test begins later, too."""
    more = days * DAY
    return trial(now, test_from=now - 10 * DAY + more / 2, test_until=now + more, **changed)


@pytest.mark.parametrize(("days", "stands"), [(1, True), (4.9, True), (5, False), (9, False)])
def test_the_last_word_stands_until_the_tested_time_has_grown_by_a_quarter(
    connection: Any, now: datetime, days: float, stands: bool
) -> None:
    record_trials(connection, [trial(now, verdict="helps")], "run-1", now)
    found = last_word(connection, grown(now, days))
    assert (found is not None) is stands
    if found is not None:
        assert found == LastWord("helps", now, "run-1", 10 * DAY)
        assert found.needed == 12.5 * DAY


def test_the_newest_word_of_the_same_forecaster_stands(connection: Any, now: datetime) -> None:
    for days, word in ((0, "helps"), (5, "hurts"), (6, EVALUATED)):
        made = grown(now, days, verdict=word) if days else trial(now, verdict=word)
        record_trials(connection, [made], f"run-{days}", now + days * DAY)
    record_trials(connection, [grown(now, 7, forecaster="linear")], "run-7", now + 7 * DAY)
    found = last_word(connection, grown(now, 8))
    assert found == LastWord("hurts", now + 5 * DAY, "run-5", 12.5 * DAY)
    evaluated = last_word(connection, grown(now, 6))
    assert evaluated == found, "what was only evaluated has no word yet"


@pytest.mark.parametrize(
    "changed", [{"config_hash": "b"}, {"symbol": "ETH"}, {"target": "direction"}]
)
def test_another_question_has_no_word_to_stand(
    connection: Any, now: datetime, changed: dict[str, Any]
) -> None:
    record_trials(connection, [trial(now, **changed)], "run-1", now)
    assert last_word(connection, grown(now, 1)) is None


def test_a_rerun_a_shorter_span_and_other_time_have_their_own_word(
    connection: Any, now: datetime
) -> None:
    record_trials(connection, [trial(now)], "run-1", now)
    assert last_word(connection, trial(now)) is None
    assert last_word(connection, trial(now, test_until=now - DAY)) is None
    assert last_word(connection, trial(now, test_from=now, test_until=now + DAY)) is None


def forecast(now: datetime, **changed: Any) -> dict[str, Any]:
    usual = {
        "symbol": "BTC", "cutoff": now, "horizon_bars": 1, "run": "model-1",
        "decision_time": now + timedelta(minutes=2), "late": False,
        "quantiles": {"0.5": 0.001}, "p_up": 0.6, "volatility": 0.01,
    }  # fmt: skip
    return usual | changed


def test_a_forecast_is_never_rewritten(connection: Any, now: datetime) -> None:
    made = now + timedelta(minutes=3)
    assert store_forecasts(connection, [forecast(now)], "1h", "run-1", made) == 1
    wiser = forecast(now, p_up=0.1, late=True, quantiles=None)
    assert store_forecasts(connection, [wiser], "1h", "run-2", made + DAY) == 0
    rows = connection.execute(
        "SELECT p_up, late, quantiles->>'0.5', made_at, run_id FROM forecast"
    ).fetchall()
    assert [row[:3] + row[4:] for row in rows] == [(0.6, False, "0.001", "run-1")]
    assert rows[0][3] == made


def test_another_bar_horizon_model_or_interval_is_another_forecast(
    connection: Any, now: datetime
) -> None:
    others = [
        forecast(now),
        forecast(now, cutoff=now + timedelta(hours=1)),
        forecast(now, horizon_bars=4),
        forecast(now, run="model-2"),
        forecast(now, symbol="ETH", quantiles=None, p_up=None, volatility=None),
    ]
    assert store_forecasts(connection, others, "1h", "run-1", now) == 5
    assert store_forecasts(connection, others[:1], "1d", "run-1", now) == 1
    assert store_forecasts(connection, others, "1h", "run-2", now) == 0
    empty = connection.execute(
        "SELECT quantiles, p_up, volatility FROM forecast WHERE symbol = 'ETH'"
    ).fetchall()
    assert empty == [(None, None, None)]
