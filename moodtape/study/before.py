"""What was tried on these data before, and what that costs the study at hand.

Each hypothesis of an earlier trial over mostly the same test span joins the family with a
p-value of one. The same config over another span is the next look at a growing record: look
k is tested at level / (k (k + 1)), so that all later looks together spend half a level, and
allowed when the tested time has grown by a quarter. Until then the last word stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from moodtape.config import Config
from moodtape.forecaster.claims import TONE

if TYPE_CHECKING:
    from moodtape.storage.ledger import Earlier
    from moodtape.storage.looks import LastWord


@dataclass(frozen=True)
class Before:
    """What a study must make up for.

    level: one-sided, of the family. hypotheses: tried before; each joins the family.
    look: by question, the number of this look.
    last: by question and forecaster, the word that stands since it is too early for another.
    """

    level: float
    hypotheses: int = 0
    look: Mapping[str, int] = field(default_factory=dict)
    last: Mapping[tuple[str, str], LastWord] = field(default_factory=dict)


def before_of(
    config: Config,
    earlier: Mapping[str, Earlier],
    last: Mapping[tuple[str, str], LastWord] | None = None,
) -> Before:
    """Return what the ledger's counts cost, and the words that stand."""
    spans = max((e.spans for e in earlier.values()), default=0)
    return Before(
        level=level_of_look(config.verdict.level, 1 + spans),
        hypotheses=max((e.hypotheses for e in earlier.values()), default=0),
        look={question: e.look for question, e in earlier.items()},
        last=last or {},
    )


def level_of_look(level: float, look: int) -> float:
    """Return the level at which the k-th look of one config is tested.

    >>> level_of_look(0.024, 1), level_of_look(0.024, 2), level_of_look(0.024, 3)
    (0.024, 0.004, 0.002)
    """
    return level if look == 1 else level / (look * (look + 1))


def question_key(symbol: str, target: str, horizon_bars: int, claim: str = TONE) -> str:
    """Return the name of a question in plan and ledger; the first claim is not said.

    >>> question_key("BTC", "return", 1), question_key("BTC", "return", 1, "attention")
    ('BTC return 1', 'BTC return 1 attention')
    """
    asked = f"{symbol} {target} {horizon_bars}"
    return asked if claim == TONE else f"{asked} {claim}"
