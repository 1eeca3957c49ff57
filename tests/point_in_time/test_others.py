"""What other assets did goes through the audit: their future changes too, and a leak is named."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from moodtape.forecaster import loading
from tests.point_in_time.test_planted_leaks import TESTED

if TYPE_CHECKING:
    from tests.point_in_time.conftest import Study


@pytest.fixture(params=["a peer", "a pair"])
def of_two(study: Study, request: pytest.FixtureRequest) -> Study:
    """Return the study of BTC with ETH as a peer, and that of both."""
    features = study.config.features.model_copy(
        update={"groups": ("price",), "peers": ("ETH",), "fill_limit_bars": 3, "masks": "each"}
    )
    config = study.config.model_copy(update={"features": features})
    symbols = ("BTC",) if request.param == "a peer" else ("BTC", "ETH")
    return replace(study, config=config, request=replace(study.request, symbols=symbols))


def test_the_clean_line_has_no_offenders(of_two: Study) -> None:
    result = of_two.audit(cuts=(TESTED,))
    assert result.clean, result.sentence()


def test_the_others_of_one_bar_later(of_two: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = loading.others_rows

    def hasty(*given: Any) -> Iterator[Any]:
        for rows in honest(*given):
            yield np.vstack([rows[1:], rows[-1:]])

    monkeypatch.setattr(loading, "others_rows", hasty)
    result = of_two.audit(cuts=(TESTED,))
    first = result.offenders[0]
    assert first.column.endswith("others.ret_1")
    assert first.row_time == TESTED
