"""Missing values: carried forward within a limit, never made of later ones, always marked."""

import numpy as np
import pytest

from moodtape.config import FeaturesSection
from moodtape.forecaster.features.base import PRICE, Column
from moodtape.forecaster.missing import carried_forward, mask_columns, with_masks

NAN = np.nan


def test_a_value_is_carried_so_far_and_no_further() -> None:
    x = np.array([[NAN, 1.0], [2.0, NAN], [NAN, NAN], [NAN, NAN], [NAN, 5.0]])
    np.testing.assert_array_equal(
        carried_forward(x, 2), [[NAN, 1], [2, 1], [2, 1], [2, NAN], [NAN, 5]]
    )
    assert carried_forward(x, 0) is x


@pytest.mark.parametrize("limit", [1, 3, 50])
def test_what_comes_later_fills_nothing(limit: int) -> None:
    rng = np.random.default_rng(limit)
    x = np.where(rng.uniform(size=(200, 3)) < 0.4, NAN, rng.standard_normal((200, 3)))
    whole = carried_forward(x, limit)
    for cut in (1, 20, 117):
        assert whole[:cut].tobytes() == carried_forward(x[:cut], limit).tobytes()
        near = carried_forward(x[max(0, cut - limit - 1) : cut], limit)
        assert whole[cut - 1].tobytes() == near[-1].tobytes(), "it looks no further back"


def test_a_mask_says_what_was_missing_before_it_was_filled() -> None:
    x = np.array([[1.0, 2.0], [NAN, 3.0], [NAN, NAN]])
    share = with_masks(x, FeaturesSection(fill_limit_bars=1))
    np.testing.assert_array_equal(share, [[1, 2, 0], [1, 3, 0.5], [NAN, 3, 1]])
    each = with_masks(x, FeaturesSection(fill_limit_bars=1, masks="each"))
    np.testing.assert_array_equal(each[:, 2:], [[0, 0], [1, 0], [1, 1]])


@pytest.mark.parametrize("masks", ["share", "each"])
def test_every_added_column_has_a_name_of_its_own(masks: str) -> None:
    columns = [Column("ret_1", PRICE, False, ""), Column("ret_4", PRICE, True, "")]
    settings = FeaturesSection.model_validate({"masks": masks})
    added = mask_columns("price", columns, settings)
    assert with_masks(np.zeros((3, 2)), settings).shape == (3, 2 + len(added))
    assert not any(c.polarity for c in added), "that a value is missing tells no tone"
    assert [c.name for c in added] == (
        ["price.missing"] if masks == "share" else ["ret_1.missing", "ret_4.missing"]
    )
