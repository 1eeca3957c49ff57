"""How often effects were said to help, against their size, as a picture (SVG).

Beside it what nobody can beat: an oracle who is told exactly what the tone adds and has
nothing to fit. Its gain over n forecasts is sqrt(g n) / 2 standard errors, for squared errors of
a normal law and for Brier scores alike, so it is found with probability F(sqrt(g n) / 2 - 1.96).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any
from xml.sax.saxutils import escape

import numpy as np

from moodtape.forecaster.claims import TONE

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 64, 150, 44, 56
APART = 4
"""Points of different lines over one size stand so far apart."""

STYLE = """
text{font:14px system-ui,sans-serif;fill:#1d232b}.soft{fill:#5c6670;font-size:13px}
.grid{stroke:#d9dee3}.oracle{stroke:#5c6670;stroke-dasharray:6 5;fill:none;stroke-width:2}
.s0{stroke:#0b63b5;fill:#0b63b5}.s1{stroke:#b54708;fill:#b54708}.s2{stroke:#2f7d32;fill:#2f7d32}
path.s0,path.s1,path.s2{fill:none;stroke-width:2}text.s0,text.s1,text.s2{stroke:none}
@media (prefers-color-scheme:dark){text{fill:#e6e9ec}.soft{fill:#a3adb7}.grid{stroke:#39424c}
.oracle{stroke:#a3adb7}.s0{stroke:#6cb2f5;fill:#6cb2f5}.s1{stroke:#f2a65a;fill:#f2a65a}
.s2{stroke:#7cc97f;fill:#7cc97f}}
"""
Row = dict[str, Any]


def oracle_power(gain: float, n: float) -> float:
    """Return how often an oracle of the tone would be found, one-sided at 2.5 %.

    >>> round(oracle_power(0.01, 6300), 3), round(oracle_power(0.0, 6300), 3)
    (0.978, 0.025)
    """
    from scipy.stats import norm

    return float(norm.cdf(math.sqrt(gain * n) / 2 - norm.isf(0.025)))


def power_svg(rows: Sequence[Row]) -> str:
    """Return a picture of what `rates.power` says of worlds of one length.

    Args:
        rows: as `rates.power` returns them, of one length; each claim and target has a line.
    """
    gains = [row["truth"] for row in rows]
    low, high = math.log(min(gains) / 1.25), math.log(max(gains) * 1.25)
    n = float(np.median([row["n"] for row in rows]))

    def x(gain: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (math.log(gain) - low) / (high - low)

    def y(share: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - share)

    title = f"How often an effect was said to help: {round(n, -1):,.0f} forecasts tested"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>{title}</title><style>{STYLE.strip()}</style>",
        f'<text x="{LEFT}" y="24">{title}</text>',
        *_axes(x, y, sorted(set(gains)), math.exp(low), math.exp(high)),
    ]
    curve = np.exp(np.linspace(low, high, 60))
    points = [f"{x(g):.1f} {y(oracle_power(g, n)):.1f}" for g in curve]
    parts.append(f'<path class="oracle" d="M{" L".join(points)}"/>')
    ends = [(y(oracle_power(curve[-1], n)), '<tspan class="soft">an oracle</tspan>', "soft")]
    for number, name in enumerate(dict.fromkeys(map(_name, rows))):
        own = sorted((r for r in rows if _name(r) == name), key=lambda r: r["truth"])
        parts += _line(own, x, y, f"s{number % 3}", APART * (number - 1))
        ends.append((y(own[-1]["helps"].share), escape(name), f"s{number % 3}"))
    parts += _names(ends)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _name(row: Row) -> str:
    """Return what is told: the target, and of what, if it is not the tone."""
    target, claim = str(row["target"]), str(row["claim"])
    return target if claim == TONE else f"{target} by {claim}"


def _axes(x: Any, y: Any, gains: Sequence[float], low: float, high: float) -> Iterator[str]:
    for share in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        at = y(share)
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
        yield (
            f'<text class="soft" x="{LEFT - 8}" y="{at + 5:.1f}" text-anchor="end">'
            f"{share:.0%}</text>"
        )
    for gain in (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05):
        if low <= gain <= high:
            yield (
                f'<text class="soft" x="{x(gain):.1f}" y="{HEIGHT - BOTTOM + 22}"'
                f' text-anchor="middle">{gain * 100:g} %</text>'
            )
    middle = (LEFT + WIDTH - RIGHT) / 2
    yield (
        f'<text class="soft" x="{middle:.0f}" y="{HEIGHT - 12}" text-anchor="middle">'
        "what an oracle of the tone would save of the loss</text>"
    )


def _line(rows: Sequence[Row], x: Any, y: Any, style: str, aside: float) -> Iterator[str]:
    points = [(x(row["truth"]) + aside, row["helps"]) for row in rows]
    path = " L".join(f"{at:.1f} {y(rate.share):.1f}" for at, rate in points)
    yield f'<path class="{style}" d="M{path}"/>'
    for (at, rate), row in zip(points, rows, strict=True):
        low, high = rate.interval
        told = f"{_name(row)}, {row['truth']:.2%}: {rate.count} of {rate.n}"
        yield (
            f'<g class="{style}"><title>{escape(told)}</title>'
            f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{y(low):.1f}" y2="{y(high):.1f}"/>'
            f'<circle cx="{at:.1f}" cy="{y(rate.share):.1f}" r="4"/></g>'
        )


def _names(ends: Sequence[tuple[float, str, str]]) -> Iterator[str]:
    """Yield the lines' names at their ends, moved apart where they would meet."""
    ends, places = sorted(ends), [-math.inf]
    for at, *_ in ends:
        places.append(max(at, places[-1] + 18))
    lowest = float(HEIGHT - BOTTOM)
    for place, (_, name, style) in zip(reversed(places[1:]), reversed(ends), strict=True):
        at = min(place, lowest)
        yield f'<text class="{style}" x="{WIDTH - RIGHT + 10}" y="{at + 5:.1f}">{name}</text>'
        lowest = at - 18
