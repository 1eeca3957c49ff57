"""What `predict --explain` prints: what texts added to a forecast, hour by hour."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moodtape.commands.console import say

NAMES = {"p_up": "P(up)", "mean": "return", "volatility": "volatility"}


def print_explanation(item: Mapping[str, Any]) -> None:
    """Print why one forecast says what it says.

    Texts are untrusted: what could move the cursor or turn the line is made visible.
    """
    from moodtape.forecaster.report.numbers import tidy

    why = tidy(item["explanation"])
    if not why["hours"]:
        say("  no text counted in the last two days")
        return
    if why["without_texts"]:
        all_texts = {
            name: None if item[name] is None else item[name] - without
            for name, without in why["without_texts"].items()
        }
        say(f"  all texts together added {_added(all_texts)}")
    for hour in why["hours"]:
        texts = "1 text" if hour["texts"] == 1 else f"{hour['texts']} texts"
        say(
            f"  {hour['hour'][:16].replace('T', ' ')} {texts}, tone {hour['tone']:+.2f},"
            f" added {_added(hour['added'])}"
        )
        for text in hour["headlines"]:
            where = text["outlet"] or text["source"]
            title = text["title"] or "(a text that was forgotten)"
            link = f" <{text['url']}>" if text["url"] else ""
            say(f"    {text['tone']:+.2f} {where}: {title}{link}")


def _added(added: Mapping[str, float | None]) -> str:
    """Return changes in words: of P(up) in points, of the others in percent."""
    parts = []
    for name, value in added.items():
        if value is not None:
            unit = " points" if name == "p_up" else " %"
            parts.append(f"{100 * value:+.2f}{unit} to {NAMES[name]}")
    return ", ".join(parts)
