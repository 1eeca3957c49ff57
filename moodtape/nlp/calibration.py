"""Logits become probabilities that mean what they say: one temperature for each head."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from moodtape.nlp.labels import Examples

    Floats = NDArray[np.float64]

TEMPERATURES = (0.25, 8.0)
"""A fit outside these bounds says that the dev rows are unusable, so it stops at them."""


def softmax(logits: Floats, temperature: float = 1.0) -> Floats:
    """Return probabilities by row, (n, k) -> (n, k)."""
    import numpy as np

    scaled = logits / temperature
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    shares: Floats = powers / powers.sum(axis=1, keepdims=True)
    return shares


def cross_entropy(probabilities: Floats, target: Floats) -> float:
    """Return the mean of -log p over the rows' target shares; both (n, k)."""
    import numpy as np

    return float(-(target * np.log(np.maximum(probabilities, 1e-12))).sum(axis=1).mean())


def fit_temperature(logits: Floats, target: Floats) -> float:
    """Return the temperature with the lowest cross entropy; 1.0 without rows.

    Source: Guo, Pleiss, Sun & Weinberger (2017), "On Calibration of Modern Neural Networks".
    """
    from scipy.optimize import minimize_scalar

    if len(logits) == 0:
        return 1.0
    found = minimize_scalar(
        lambda value: cross_entropy(softmax(logits, value), target),
        bounds=TEMPERATURES,
        method="bounded",
    )
    return round(float(found.x), 4)


def fit_temperatures(sentiment: Floats, kind: Floats, dev: Examples) -> dict[str, float]:
    """Return the temperature of each head, fitted on our own dev rows."""
    return {
        "sentiment": fit_temperature(sentiment[dev.own], dev.sentiment[dev.own]),
        "kind": fit_temperature(kind[dev.own], dev.kind[dev.own]),
    }


def dev_report(sentiment: Floats, kind: Floats, dev: Examples) -> dict[str, float]:
    """Return accuracies and losses on the dev rows; `loss` is what the best pass minimises.

    Crypto texts lead, since the product reads those; losses are taken after the
    temperature that is fitted anyway.
    """
    report: dict[str, float] = {}
    for name, logits, target, rows in (
        ("crypto", sentiment, dev.sentiment, dev.own),
        ("own", sentiment, dev.sentiment, dev.part == "own"),
        ("hard", sentiment, dev.sentiment, dev.part == "hard"),
        ("tweets", sentiment, dev.sentiment, dev.part == "tweets"),
        ("kind", kind, dev.kind, dev.own),
    ):
        if not rows.any():
            continue
        right = logits[rows].argmax(axis=1) == target[rows].argmax(axis=1)
        probabilities = softmax(logits[rows], fit_temperature(logits[rows], target[rows]))
        report[f"{name}_accuracy"] = float(right.mean())
        report[f"{name}_loss"] = cross_entropy(probabilities, target[rows])
    loss = report["crypto_loss"] + 0.5 * report["tweets_loss"] + 0.25 * report["kind_loss"]
    return {**report, "loss": loss}
