"""What every scorer must hold to, built-in or not; `moodtape.testing` offers it to users.

1. names     a name and a revision, the same each time it is made
2. rows      one per text, three columns, float32, probabilities that sum to 1
3. alone     a score is a function of its text: alone, sorted, shuffled, the same bits
4. oddities  empty, endless, foreign and hostile texts have a score like any other
5. age       trained_until is an aware instant, or None where it is unknown
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from moodtape.nlp.base import LABELS, Scorer

if TYPE_CHECKING:
    from moodtape.nlp.base import Probabilities

ODD = (
    "", " ", "\x00", "word " * 2_000, "🚀" * 300, "数字货币暴跌", "\u202egnp.exe",
    "<script>alert(1)</script>", "a" * 5_000,
)  # fmt: skip
PLAIN = (
    "Bitcoin soars to a new high", "Exchange hacked, withdrawals halted",
    "The committee meets on Tuesday", "Ether slides 9% as liquidations mount",
    "Is this the bottom?", "XRP wins in court", "nothing happens", "Fund sells 900 BTC",
)  # fmt: skip


def check_scorer(make: Callable[[], Scorer], texts: Sequence[str] = PLAIN) -> None:
    """Hold a scorer to its promises.

    Args:
        make: makes it anew, as each run does.
        texts: some that it should know what to do with.
    Raises:
        AssertionError: a promise is broken; says which and by what.
    """
    scorer, other = make(), make()
    _check_names(scorer, other)
    given = [*dict.fromkeys([*texts, *ODD])]
    together = scorer.score(given)
    _check_rows(scorer.name, together, given)
    _check_rows(scorer.name, scorer.score([]), [])
    for again, how in ((scorer.score(given), "a second time"), (other.score(given), "made anew")):
        _same(scorer.name, together, again, given, how)
    by_length = sorted(range(len(given)), key=lambda i: len(given[i]))
    mixed = [*by_length[::-2], *by_length[len(by_length) % 2 :: 2]]
    for order, how in ((by_length, "sorted by length"), (mixed, "mixed")):
        _same(
            scorer.name, together[order], scorer.score([given[i] for i in order]),
            [given[i] for i in order], how,
        )  # fmt: skip
    for i, text in enumerate(given):
        _same(scorer.name, together[i : i + 1], scorer.score([text]), [text], "alone")


def _check_names(scorer: Scorer, other: Scorer) -> None:
    for attribute in ("name", "revision"):
        first, second = getattr(scorer, attribute), getattr(other, attribute)
        if not isinstance(first, str) or not first.strip() or "\n" in first or first != second:
            raise AssertionError(
                f"a scorer's {attribute} is a word, always the same; not {first!r} and {second!r}"
            )
    until = scorer.trained_until
    if until is not None and until.tzinfo is None:
        raise AssertionError(f"{scorer.name}: trained_until has no time zone: {until}")


def _check_rows(name: str, rows: Probabilities, texts: Sequence[str]) -> None:
    import numpy as np

    if rows.shape != (len(texts), len(LABELS)) or rows.dtype != np.float32:
        raise AssertionError(
            f"{name}: {len(texts)} texts gave {rows.shape} {rows.dtype}, expected"
            f" ({len(texts)}, {len(LABELS)}) float32"
        )
    bad = ~(np.isfinite(rows) & (rows >= 0)).all(axis=1) | (np.abs(rows.sum(axis=1) - 1) > 1e-4)
    if bad.any():
        at = int(np.flatnonzero(bad)[0])
        raise AssertionError(f"{name}: {texts[at][:60]!r} gave {rows[at]}, no probabilities")


def _same(
    name: str, first: Probabilities, second: Probabilities, texts: Sequence[str], how: str
) -> None:
    import numpy as np

    differs = np.flatnonzero((first != second).any(axis=1))
    if len(differs):
        at = int(differs[0])
        raise AssertionError(
            f"{name}: scored {how}, {texts[at][:60]!r} gave {second[at]}, before {first[at]}."
            " A score must depend on its text alone."
        )
