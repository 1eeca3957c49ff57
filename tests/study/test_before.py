"""What earlier looks cost."""

import pytest

from moodtape.config import Config
from moodtape.storage.ledger import Earlier
from moodtape.study.before import Before, before_of, level_of_look

CONFIG = Config.model_validate({"verdict": {"level": 0.03}})


def test_a_first_look_costs_nothing() -> None:
    assert before_of(CONFIG, {"BTC return 1": Earlier()}) == Before(0.03, 0, {"BTC return 1": 1})
    assert before_of(CONFIG, {}) == Before(0.03)


def test_other_configs_join_the_family_and_other_spans_lower_the_level() -> None:
    earlier = {"BTC return 1": Earlier(2, 0, 6), "BTC direction 1": Earlier(1, 1, 6)}
    found = before_of(CONFIG, earlier)
    assert found.hypotheses == 6
    assert found.level == pytest.approx(0.005), "a second look of the same config"
    assert found.look == {"BTC return 1": 3, "BTC direction 1": 3}


def test_all_later_looks_together_spend_half_a_level() -> None:
    assert sum(level_of_look(1.0, look) for look in range(2, 100_000)) == pytest.approx(0.5, 1e-4)
