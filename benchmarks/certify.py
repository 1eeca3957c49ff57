"""The figures of docs/calibration.md: worlds of seeds that no rule was tried on.

    python benchmarks/certify.py run [FOLDER] [--only NAME] [--jobs 2]   one that was killed goes on
    python benchmarks/certify.py write [FOLDER]                          to the page, with pictures

All runs together take some eleven hours of CPU. After a change of the rules they need a folder of
their own; docs/calibration by default. What `write` finds there it puts between the marks of the
page, so that nobody copies a table by hand, and a test holds the page to its files.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from certify_runs import FOLDER, LENGTHS, ROOT, RUNS

from moodtape.calibrate.plot import oracle_power, power_svg
from moodtape.calibrate.rates import Rate, coverage, error_rates, power
from moodtape.calibrate.run import read_rows
from moodtape.calibrate.worlds import KINDS, TARGETS
from moodtape.forecaster.verdict import DOES_NOT_HELP, HELPS, HURTS

PAGE = ROOT / "docs" / "calibration.md"
MARKED = re.compile(r"(<!-- figures: ([^>]+?) -->\n).*?(<!-- end -->)", re.DOTALL)

Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, told in (("run", "draw worlds and answer them"), ("write", "write the page")):
        own = verbs.add_parser(verb, help=told)
        own.add_argument("folder", type=Path, nargs="?", default=FOLDER)
        if verb == "run":
            own.add_argument("--only", action="append", choices=[run.name for run in RUNS])
            own.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    if options.verb == "write":
        PAGE.write_text(with_figures(PAGE.read_text("utf-8"), options.folder), "utf-8")
        for run in LENGTHS:
            found = power(read_rows(options.folder / f"{run.name}.csv"))
            (FOLDER / f"{run.name}.svg").write_text(power_svg(found), "utf-8")
        return
    options.folder.mkdir(parents=True, exist_ok=True)
    for run in RUNS:
        if options.only is None or run.name in options.only:
            print(run.name, flush=True)
            line = [sys.executable, "-m", *run.command(options.folder, options.jobs)]
            if code := subprocess.run(line, cwd=options.folder).returncode:
                sys.exit(code)  # what was wrong has been said


def with_figures(page: str, folder: Path) -> str:
    """Return the page with the figures of a folder between its marks."""
    return MARKED.sub(lambda found: f"{found[1]}\n{figures(found[2], folder)}\n{found[3]}", page)


def figures(asked: str, folder: Path) -> str:
    """Return a table as the page asks for it: what it shows, then the files it is made of."""
    shown, *names = asked.split()
    return TABLES[shown]({name: read_rows(folder / f"{name}.csv") for name in names})


def false_words(files: dict[str, list[Row]]) -> str:
    """Return how many worlds of each kind were told a false word, and which effects were told."""
    rows = [row for file in files.values() for row in file]
    kinds, effects = error_rates(rows), power(rows)
    kinds.sort(key=lambda kind: KINDS.index(kind["kind"]))
    head = ("worlds", "kind", "false `helps`", "false `hurts`")
    lines = []
    for kind in kinds:
        false = (share_of(kind["false"][word]) for word in (HELPS, HURTS))
        line = [f"{kind['worlds']:,}", f"`{kind['kind']}`", *false]
        lines.append([*line, found_in(kind["kind"], effects)] if effects else line)
    total = sum(kind["worlds"] for kind in kinds)
    sums = [Rate(sum(k["false"][w].count for k in kinds), total) for w in (HELPS, HURTS)]
    last = [f"{total:,}", "**all**", *(f"**{share_of(rate)}**" for rate in sums)]
    return table(
        [*head, "effects said to help"] if effects else head,
        [*lines, [*last, ""] if effects else last],
    )


def found_in(kind: str, effects: Sequence[Row]) -> str:
    """Return how often each effect of a kind was said to help."""
    own = [effect for effect in effects if effect["kind"] == kind]
    told = [
        f"{e['target']}{'' if e['claim'] == 'tone' else ' by number'} {share_of(e['helps'])}"
        for e in own
    ]
    return ", ".join(told) or "none to find"


def elsewhere(files: dict[str, list[Row]]) -> str:
    """Return how often a false word was said of what the effect does not touch."""
    kinds = [kind for rows in files.values() for kind in error_rates(rows)]
    said = (share_of(summed(kind["false"][word] for kind in kinds)) for word in (HELPS, HURTS))
    return table(("false `helps`", "false `hurts`"), [list(said)])


def absent(files: dict[str, list[Row]]) -> str:
    """Return how often `does not help` was said, by what the effect in truth was."""
    lines = []
    for rows in files.values():
        for gain in sorted({row["gain"] for row in rows}, key=float):
            for target in TARGETS:
                own = [r for r in rows if (r["gain"], r["target"]) == (gain, target)]
                truth, margin = float(own[0]["truth"]), float(own[0]["margin"])
                told = [row["word"] for row in own].count(DOES_NOT_HELP)
                said = share_of(Rate(told, len({r["world"] for r in rows if r["gain"] == gain})))
                size = f"{truth * 100:.3g} %" if truth else "none"
                of = (f"{int(own[0]['hours']):,}", f"`{own[0]['kind']}`", target, size)
                cells = (said, "") if truth >= margin else ("", said)
                lines.append([*of, f"{margin * 100:.2g} %", *cells])
    head = ("hours", "kind", "target", "effect", "margin", "said, and wrong", "said, and right")
    return table(head, lines)


def power_table(files: dict[str, list[Row]]) -> str:
    """Return how often effects were said to help, by length, target and size; and to hurt.

    Below them how often an oracle would have found them.
    """
    called = {run.name: run.called for run in LENGTHS}
    sizes = sorted({float(row["gain"]) for rows in files.values() for row in rows})
    lines = []
    for name, rows in files.items():
        effects, length = power(rows), f"[{called[name]}](calibration/{name}.svg)"
        for target in TARGETS:
            own = [row for row in effects if row["target"] == target]
            found = {float(row["gain"]): row["helps"] for row in own}
            tested = statistics.median(row["n"] for row in own)
            words = [r["word"] for r in rows if r["target"] == target and float(r["truth"]) > 0]
            hurt = f"{words.count(HURTS)} of {summed(found.values()).n:,}"
            cells = (brief(found[size]) for size in sizes)
            lines.append([length, f"{round(tested, -1):,.0f}", target, *cells, hurt])
        tested = statistics.median(row["n"] for row in effects)
        best = (f"{oracle_power(size, tested) * 100:.0f} %" for size in sizes)
        lines.append([length, f"{round(tested, -1):,.0f}", "*an oracle*", *best, ""])
    head = ("length", "tested", "target", *(f"{size * 100:g} %" for size in sizes), "hurts")
    return table(head, lines)


def coverage_table(files: dict[str, list[Row]]) -> str:
    """Return how often intervals held what the fitted models are worth."""
    lines = []
    for rows in files.values():
        found = coverage(rows)
        of = (found[0]["horizon_bars"], f"{int(found[0]['hours']):,}")
        for kind in (*dict.fromkeys(row["kind"] for row in found), "all"):
            own = [row for row in found if kind in (row["kind"], "all")]
            rates = [
                summed(row["held"] for row in own if row["target"] == name) for name in TARGETS
            ]
            told = "**all**" if kind == "all" else f"`{kind}`"
            cells = (*of, str(rates[0].n), told, *map(share_of, [*rates, summed(rates)]))
            lines.append(cells)
    return table(("horizon", "hours", "worlds", "kind", *TARGETS, "all"), lines)


def summed(rates: Any) -> Rate:
    """Return the share over several groups of runs."""
    rates = list(rates)
    return Rate(sum(rate.count for rate in rates), sum(rate.n for rate in rates))


def share_of(rate: Rate) -> str:
    """Return a count with its exact 95 % interval."""
    low, high = rate.interval
    return f"{rate.count} of {rate.n:,} ({low * 100:.1f} to {high * 100:.1f} %)"


def brief(rate: Rate) -> str:
    """Return a share with its exact 95 % interval, in whole percent."""
    low, high = rate.interval
    return f"{rate.share * 100:.0f} % ({low * 100:.0f} to {high * 100:.0f})"


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    rows = (head, ["---"] * len(head), *lines)
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


TABLES = {
    "false_words": false_words,
    "power": power_table,
    "elsewhere": elsewhere,
    "absent": absent,
    "coverage": coverage_table,
}

if __name__ == "__main__":
    main()
