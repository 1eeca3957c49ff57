"""What a careful reader should know before believing a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from moodtape.clock import iso
from moodtape.study.ground import Ground
from moodtape.study.lost import lost_caveat

UNSTAMPED_SHARE = 0.05
"""A larger share of assumed collection times is a caveat."""

PROMOTION_SHARE = 0.02
"""A larger share of texts that look like promotion or like bots is one, too."""


def caveats(
    ground: Ground, texts: Sequence[Mapping[str, Any]], lost: Mapping[str, int] | None = None
) -> list[str]:
    """Return what a careful reader should know before believing a study.

    Args:
        texts: from `summary.text_summary`; lost: from `lost.lost_texts`.
    """
    dataset, found = ground.dataset, list(ground.notes)
    for row in texts:
        where = f"{row['source']}/{row['collection']}"
        if row["assumed_share"] > UNSTAMPED_SHARE:
            found.append(
                f"of the texts of {where}, {100 * row['assumed_share']:.0f} % have no collection"
                " time; they count as known at publication plus an assumed delay"
            )
        if row["promotion_share"] > PROMOTION_SHARE:
            kept = ground.config.sentiment.promotion == "keep"
            found.append(
                f"of the texts of {where}, {100 * row['promotion_share']:.0f} % look like promotion"
                f" or like bots; they {'count as the others do' if kept else 'are left out'}"
            )
        if row["state"] == "partial":
            found.append(
                f"hours without a text of {where} count as unknown, since the crawl is not stated"
            )
    gone = lost_caveat(lost, sum(row["texts"] for row in texts)) if texts and lost else None
    if gone is not None:
        found.append(gone)
    until = ground.trained_until
    if texts and (until is None or until > ground.span.since):
        told = "at an unknown time" if until is None else f"on what was known until {iso(until)}"
        found.append(
            f"the scorer was made {told}, which is after texts of this study:"
            " it may have read the future"
        )
    if missing := int(dataset.notes.get("missing_bars", 0)):
        found.append(f"{missing} bars are missing; no window and no target crosses them")
    if corrected := int(dataset.notes.get("corrected_bars", 0)):
        found.append(
            f"{corrected} bars were corrected later; each decision saw what was known then"
        )
    if dataset.metrics:
        found.append(
            "metrics were imported in one vintage: values are those known today, at the time of"
            " their first publication"
        )
    left_out = {t.name: t.left_out for t in dataset.targets.values() if t.left_out}
    if zeros := left_out.get("direction"):
        found.append(f"{zeros} returns of exactly zero have no direction and are left out of it")
    if floored := left_out.get("volatility"):
        found.append(f"{floored} bars without movement count with a volatility of one basis point")
    return [text[:1].upper() + text[1:] + "." for text in found]
