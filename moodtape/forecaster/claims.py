"""What a study claims of the texts: of their tone, and, on request, of their number.

A claim is a view of a study's arms: which one is in question, and which it is compared with.
The losses of another claim go through the same tests, conditions and correction as the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from moodtape.errors import ConfigError
from moodtape.forecaster.features.base import SENTIMENT

if TYPE_CHECKING:
    from moodtape.config import Config
    from moodtape.forecaster.ablation import Study
    from moodtape.forecaster.arms import Arm

TONE, ATTENTION = "tone", "attention"
VIEWS = {
    ATTENTION: {
        "counts": "counts",
        "null": "null",
        "shift": "counts_shift",
        "echo": "counts_echo",
        "planted": "counts_planted",
    },
}
"""By claim, which arm stands in the place of each; the first claim has the study's own."""

QUESTIONED = {ATTENTION: "counts"}
"""By claim, the arm in question; of the first, the fullest one that gets the group as it is."""


def claims_of(config: Config, subject: str) -> tuple[str, ...]:
    """Return the claims of a study, tone first; metrics have no number of their own."""
    return config.ablation.claims if subject == SENTIMENT else (TONE,)


def needed_arms(config: Config, subject: str) -> tuple[str, ...]:
    """Return the arms that the claims of a study need besides those that the config names.

    A positive control goes with that of the first claim.
    """
    named = config.ablation.arms
    needed = [
        name
        for claim in claims_of(config, subject)
        for place, name in VIEWS.get(claim, {}).items()
        if place != "planted" or "planted" in named
    ]
    return tuple(name for name in dict.fromkeys(needed) if name not in named)


def require_controls(config: Config, subject: str, arms: Sequence[Arm]) -> None:
    """Refuse arms that lack what a claim compares with.

    Raises:
        ConfigError: names the arm and the treatment that it must have.
    """
    treatments = {arm.name: arm.treatment for arm in arms}
    for claim in claims_of(config, subject):
        for place, name in VIEWS.get(claim, {}).items():
            due = "constant" if place == "null" else name
            if place != "planted" and treatments.get(name) != due:
                raise ConfigError(
                    f"ablation.claims: {claim!r} needs an arm {name!r} with treatment {due!r}."
                )


def viewed(study: Study, claim: str) -> Study:
    """Return the forecasts of a study as a claim looks at them."""
    if claim not in VIEWS:
        return study
    arms = {place: study.arms[name] for place, name in VIEWS[claim].items() if name in study.arms}
    return replace(study, arms=arms, real=QUESTIONED[claim], claim=claim)


def arm_of(arms: Sequence[Arm], claim: str, place: str) -> Arm | None:
    """Return the arm that stands in some place of a claim; None where the study has none."""
    name = VIEWS.get(claim, {}).get(place, place)
    return next((arm for arm in arms if arm.name == name), None)
