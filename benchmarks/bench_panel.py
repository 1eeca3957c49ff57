"""A panel of daily stocks from its files to its verdicts: import, score, ablate, by the CLI.

    python benchmarks/bench_panel.py [--symbols 20] [--texts 100000] [--sessions 504]
        [--forecaster network] [--jobs 2] [--keep FOLDER]

Drawn bars of the sessions of XNYS, of unequal histories, and drawn headlines that name one
asset each; the word list scores them. What is measured is each command as a user types it.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

GOOD = ("surges on record profit", "beats estimates", "wins a large order", "gains")
BAD = ("plunges on weak outlook", "misses estimates", "faces a lawsuit", "falls")
PLAIN = ("holds its annual meeting", "names a new head of sales", "opens an office")


SINCE = "2022-01-03"


def names(count: int) -> list[str]:
    """Return made-up tickers."""
    return [f"Q{chr(65 + i // 26)}{chr(65 + i % 26)}X" for i in range(count)]


def write_bars(path: Path, symbols: list[str], sessions: int, rng: np.random.Generator) -> None:
    """Write daily bars; each further asset begins up to a quarter of the span later."""
    days = pd.bdate_range(SINCE, periods=sessions)
    tables = []
    for number, symbol in enumerate(symbols):
        own = days[int(sessions * 0.25 * number / len(symbols)) :]
        moves = 0.015 * rng.standard_t(4, len(own))
        close = 100 * np.exp(np.cumsum(moves))
        opened = close * np.exp(-moves)
        wide = 1 + 0.005 * rng.random(len(own))
        tables.append(pd.DataFrame({
            "date": own.strftime("%Y-%m-%d"), "symbol": symbol, "open": opened,
            "high": np.maximum(opened, close) * wide, "low": np.minimum(opened, close) / wide,
            "close": close, "volume": rng.lognormal(10, 1, len(own)),
        }))  # fmt: skip
    pd.concat(tables).to_csv(path, index=False)


def write_texts(
    path: Path, symbols: list[str], count: int, sessions: int, rng: np.random.Generator
) -> None:
    """Write headlines with the minute at which they were collected."""
    since = pd.Timestamp(SINCE, tz="UTC")
    span = pd.bdate_range(since.tz_localize(None), periods=sessions)[-1].tz_localize("UTC") - since
    at = np.sort(rng.random(count))
    with path.open("w") as handle:
        for number, share in enumerate(at):
            symbol = symbols[int(rng.integers(len(symbols)))]
            words = (GOOD, BAD, PLAIN)[int(rng.integers(3))]
            said = words[int(rng.integers(len(words)))]
            published = (since + share * span).floor("s")
            handle.write(json.dumps({
                "id": str(number), "title": f"{symbol} {said} {number}",
                "symbol": symbol, "published_at": published.isoformat(),
                "collected_at": (published + pd.Timedelta(minutes=5)).isoformat(),
            }) + "\n")  # fmt: skip


def main() -> int:
    """Run every command and say what it took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--symbols", type=int, default=20)
    parser.add_argument("--texts", type=int, default=100_000)
    parser.add_argument("--sessions", type=int, default=504)
    parser.add_argument("--forecaster", default="network")
    parser.add_argument("--jobs", default="2")
    parser.add_argument("--keep", type=Path, help="copy the project there at the end")
    given = parser.parse_args()
    rng, symbols = np.random.default_rng(3), names(given.symbols)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "panel")
        bars, texts = Path(scratch, "bars.csv"), Path(scratch, "texts.jsonl")
        write_bars(bars, symbols, given.sessions, rng)
        write_texts(texts, symbols, given.texts, given.sessions, rng)
        init = ["init", str(folder), *(word for s in symbols for word in ("--symbol", s))]
        command([*init], Path(scratch))
        (folder / "moodtape.toml").write_text(
            f'[market]\nsymbols = {json.dumps(symbols)}\ninterval = "1d"\ncalendar = "XNYS"\n'
            '[sentiment]\nscorer = "lexicon"\n'
        )
        command(["import", "bars", str(bars), "--interval", "1d", "--calendar", "XNYS"], folder)
        command(["import", "documents", str(texts), "--source", "news", "--crawled"], folder)
        command(["score"], folder)
        asked = ["ablate", "--symbol", "all", "--preset", "quick", "--target", "return",
                 "--forecaster", given.forecaster, "--jobs", given.jobs, "--json"]  # fmt: skip
        results = json.loads(command(asked, folder))
        own = [r for r in results["results"] if r["forecaster"] == given.forecaster]
        print(
            f"{len(own)} answers of {given.forecaster}: {dict(Counter(r['verdict'] for r in own))}"
        )
        print(f"page: {(folder / own[0]['report']).stat().st_size / 2**20:.2f} MiB")
        if given.keep is not None:
            shutil.copytree(folder, given.keep)
    return 0


def command(arguments: list[str], folder: Path) -> str:
    """Run one command and say what it took; a failed one ends the benchmark."""
    used, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "moodtape", *arguments], cwd=folder, capture_output=True, text=True
    )
    took, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
    print(f"{' '.join(arguments[:2]):28} {took:7.1f} s {cpu:7.1f} s of CPU, code {done.returncode}",
          flush=True)  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stdout[-2000:] + done.stderr[-4000:])
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
