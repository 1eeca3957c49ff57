"""Texts of a study that were deleted before the scorer in use could read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from moodtape.forecaster.texts import MOST_LOST
from moodtape.records import MARKET_SYMBOL
from moodtape.storage import read

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection

    from moodtape.study.ground import Ground


def lost_texts(connection: Connection, ground: Ground) -> dict[str, int]:
    """Return how many mentions are `lost`, and `masked_hours`: hours of one symbol and source."""
    found = read.forgotten_hours(
        connection,
        [*ground.dataset.symbols, MARKET_SYMBOL],
        ground.request.scorer or "",
        ground.config.sentiment.sources,
        ground.request.as_of,
    )
    inside = (found["hour"] >= ground.span.since) & (found["hour"] < ground.span.until)
    found = found[inside]
    masked = found["lost"] > MOST_LOST * found["texts"]
    return {"lost": int(found["lost"].sum()), "masked_hours": int(masked.sum())}


def lost_caveat(lost: Mapping[str, int], texts: int) -> str | None:
    """Return what a reader must know of lost texts; None where no hour is masked.

    Args:
        texts: how many texts of the study there are.

    >>> lost_caveat({"lost": 3, "masked_hours": 0}, 100)
    """
    if not lost["masked_hours"]:
        return None
    share = lost["lost"] / max(1, texts)
    return (
        f"{lost['lost']} texts ({share:.1%}) were deleted before the scorer read them;"
        f" {lost['masked_hours']} hours of an asset and source, of whose texts they are more than"
        f" {MOST_LOST:.0%}, count as unwatched. Which texts were deleted is known today and was not"
        " known then"
    )
