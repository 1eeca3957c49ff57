"""The forecasts of docs/results.md: every model and baseline on years of real bars.

    python benchmarks/real_forecasts.py PROJECT --data DATA

BTC and ETH by the hour from July 2018 on, with on-chain metrics, Fear & Greed and funding as
far as they reach; no texts. Writes docs/results/forecasts.csv: the skill of each model against
persistence and its deciding loss, by symbol, target, horizon and regime.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import Any

from real_studies import FILES, RESULTS, SYMBOLS, make_project, moodtape

from moodtape.clock import parse_instant
from moodtape.forecasts import evaluate
from moodtape.settings import load_settings
from moodtape.study.ground import Question

SINCE = "2018-07-01"
SETTINGS: dict[str, Any] = {
    "market.symbols": SYMBOLS,
    "target.horizons": (1, 24),
    "training.max_rows": 24_000,
}
METRICS = ("skill against persistence", "deciding loss")
COLUMNS = (
    *("symbol", "target", "horizon_bars", "model", "metric", "regime", "value", "low", "high", "n"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("project", type=Path)
    parser.add_argument("--data", type=Path, help="folder of bars and metrics")
    words = parser.parse_args()
    if words.data:
        make_project(words.project)
        for kind, file, options in FILES:
            if kind != "documents" and "2025-05" not in file:
                moodtape(words.project, "import", kind, str(words.data / file), *options)
    settings = load_settings(words.project, overrides=SETTINGS)
    question = Question("onchain", parse_instant(SINCE), whole=True)  # no hold-out: no word is said
    results = evaluate(settings, question, "real_forecasts.py", lambda *step: print(*step))
    write(results["results"])


def write(rows: list[dict[str, Any]]) -> None:
    """Write the figures that stand in docs/results.md, and those by regime."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    with (RESULTS / "forecasts.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(row for row in rows if row["metric"] in METRICS)


if __name__ == "__main__":
    main()
