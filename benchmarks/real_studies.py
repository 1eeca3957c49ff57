"""The studies of docs/results.md, from a folder of real bars, metrics and texts.

    python benchmarks/real_studies.py prepare PROJECT --data DATA    import and score: once
    python benchmarks/real_studies.py plan PROJECT                   write docs/results/*.plan.json
    python benchmarks/real_studies.py run PROJECT [--study NAME]     one that was killed goes on
    python benchmarks/real_studies.py table PROJECT                  write docs/results/*.csv

Plans are written, and committed, before the first study is run: `run` refuses a study whose
plan is another one by now. The table's p-values are corrected over all studies of a forecaster
together, beside the family of its own study that each word rests on. `words.csv` has the words,
`arms.csv` what each arm gained over null, `clocks.csv` what other clocks would have been worth.
Only what was run anew in this project is written anew.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moodtape.clock import parse_instant
from moodtape.forecaster.report.numbers import signed_percent
from moodtape.forecaster.verdict import holm
from moodtape.settings import Settings, load_settings
from moodtape.studies import ablate
from moodtape.study.before import Before
from moodtape.study.ground import Question
from moodtape.study.plan import PLAN, write_plan
from moodtape.study.project import ground_of

RESULTS = Path(__file__).parents[1] / "docs" / "results"
SYMBOLS = ("BTC", "ETH")
FILES = (
    *(("bars", f"market/{s.lower()}_usdt_1h{part}.parquet", ())
      for s in SYMBOLS for part in ("", "_2025-05-01_06-15")),
    ("metrics", "market/exog/fear_greed_daily.parquet",
     ("--provider", "alternative.me", "--symbol", "MARKET")),
    ("metrics", "market/exog/btc_funding_8h_binance.parquet",
     ("--provider", "binance", "--symbol", "BTC")),
    *(("metrics", f"onchain/{s.lower()}_daily.parquet",
       ("--provider", "coinmetrics", "--symbol", s)) for s in SYMBOLS),
    ("documents", "texts/news.parquet", ()),
    ("documents", "texts/reddit.parquet", ()),
)  # fmt: skip
ARMS = ("full", "null", "shift", "echo", "planted", "counts", "other_symbol", "block_shuffle")


@dataclass(frozen=True)
class RealStudy:
    """One study: its decisions, since <= t < until, and settings laid over the defaults."""

    since: str
    until: str
    settings: dict[str, Any]

    def settings_of(self, project: Path) -> Settings:
        """Return the project's settings with those of the study."""
        usual = {"market.symbols": SYMBOLS, "ablation.arms": ARMS}
        return load_settings(project, overrides=usual | self.settings)

    @property
    def question(self) -> Question:
        """Return what is asked."""
        return Question("sentiment", parse_instant(self.since), parse_instant(self.until))


NEWS, LEXICON = {"sentiment.sources": ("news",)}, {"sentiment.scorer": "lexicon"}
LINEAR: dict[str, Any] = {"verdict.forecaster": "linear", "ablation.also": ()}
STUDIES = {
    "news-2025": RealStudy("2025-05-05", "2025-06-16", NEWS),
    "news-reddit-2022": RealStudy("2022-04-01", "2022-06-16", {}),
    "news-2021-22": RealStudy("2021-10-12", "2022-07-05", NEWS),
}
BESIDE = {
    f"{name}-lexicon": RealStudy(own.since, own.until, own.settings | LEXICON | LINEAR)
    for name, own in STUDIES.items()
}
"""The same with the scorer that was never trained, by the linear forecaster."""

WHOLE = {
    f"{name}-whole": RealStudy(
        own.since, own.until,
        own.settings | LINEAR | {
            "ablation.arms": (*ARMS, "price+sentiment", "events", "recaps", "word_list"),
            "ablation.claims": ("tone", "attention"), "target.horizons": (1, 24),
        },
    )
    for name, own in STUDIES.items()
}  # fmt: skip
"""Every arm, both claims, an hour and a day ahead, by the linear forecaster."""

EVERY = STUDIES | BESIDE | WHOLE


def moodtape(project: Path, *words: str) -> None:
    """Run a command of the product."""
    command = [sys.executable, "-m", "moodtape", *words, "--project", str(project)]
    subprocess.run(command, check=True)


def make_project(project: Path) -> None:
    """Make a project of both symbols; one that is there keeps what it holds."""
    project.mkdir(parents=True, exist_ok=True)
    (project / "moodtape.toml").write_text(f"[market]\nsymbols = {json.dumps(SYMBOLS)}\n")


def prepare(project: Path, data: Path) -> None:
    """Make a project and fill it; what it has already is known, and not taken in twice."""
    make_project(project)
    for kind, file, words in FILES:
        moodtape(project, "import", kind, str(data / file), *words)
    moodtape(project, "score")
    lexicon = project / "lexicon.toml"
    lexicon.write_text('[sentiment]\nscorer = "lexicon"\n')
    moodtape(project, "score", "--config", str(lexicon))


def planned(project: Path, name: str) -> dict[str, Any]:
    """Return the plan of a study as `ablate` writes it at a first look."""
    study = EVERY[name]
    settings = study.settings_of(project)
    with tempfile.TemporaryDirectory() as scratch:
        ground = ground_of(settings, study.question)
        write_plan(Path(scratch), ground, Before(settings.config.verdict.level))
        plan: dict[str, Any] = json.loads(Path(scratch, PLAN).read_text())
    return plan


def plan_file(name: str) -> Path:
    return RESULTS / f"{name}.plan.json"


def plan(project: Path, names: Sequence[str]) -> None:
    """Write the plans of studies."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    for name in names:
        plan_file(name).write_text(json.dumps(planned(project, name), indent=2) + "\n")
        print(f"{plan_file(name)} is written")


def run(project: Path, name: str) -> None:
    """Run a study by its plan, and keep what came of it beside that."""
    if planned(project, name) != json.loads(plan_file(name).read_text()):
        sys.exit(f"{name}: {plan_file(name)} is not what would be run now.")
    study = EVERY[name]
    results = ablate(
        study.settings_of(project), study.question, f"real_studies.py run --study {name}",
        lambda done, total, what: print(f"{name}: {what} ({done} of {total})", file=sys.stderr),
    )  # fmt: skip
    for answer in results["results"]:
        print(answer["forecaster"], answer["sentence"])
    (project / f"{name}.json").write_text(Path(project, results["report"]).with_name(
        "results.json").read_text())  # fmt: skip


ASKED = ("study", "symbol", "target", "horizon_bars", "forecaster", "claim")
WORDS = (
    *ASKED, "decides", "verdict",
    *("effect", "effect_low", "effect_high", "effect_shift", "effect_echo", "p_helps_of_table"),
    *("minimum_detectable_effect", "margin", "n", "blocks", "look", "audit"),
)  # fmt: skip
GAINS = (*ASKED, "arm", "effect", "effect_low", "effect_high")
CLOCKS = (
    "study", "symbol", "target", "horizon_bars", "forecaster", "clock", "delay_min",
    *("effect", "effect_low", "effect_high", "over_known", "over_known_low", "over_known_high"),
)  # fmt: skip


def table(project: Path) -> None:
    """Write every answer of every study that was run, with p-values over the whole table."""
    answers, gains, clocks = [], [], []
    for name in EVERY:
        path = project / f"{name}.json"
        if not path.exists():
            continue
        found = json.loads(path.read_text())
        for answer in [*found["results"], *found["attention"]]:
            asked = (
                {"claim": "tone"} | answer | {"study": name} | ends("effect", answer["interval"])
            )
            answers.append(asked)
            gains += [
                asked | {"arm": arm, "effect": own["effect"]} | ends("effect", own["interval"])
                for arm, own in answer["beside"].items()
            ]
        clocks += [
            row | {"study": name} | ends("effect", row["interval"])
            | ends("over_known", row["over_known_interval"])
            for row in found["clocks"]
        ]  # fmt: skip
    for own in families(answers):
        worst = [max(1.0 if p is None else p for p in a["p"].values()) for a in own]
        for answer, adjusted in zip(own, holm(worst), strict=True):
            answer["p_helps_of_table"] = adjusted
    replaced("words.csv", WORDS, answers)
    replaced("arms.csv", GAINS, gains)
    replaced("clocks.csv", CLOCKS, clocks)
    for a in answers:
        print(" | ".join(str(a[name]) for name in WORDS[:8]), signed_percent(a["effect"]),
              sep=" | ")  # fmt: skip


def ends(name: str, interval: Sequence[float] | None) -> dict[str, float | None]:
    """Return the ends of an interval as columns."""
    low, high = interval or (None, None)
    return {f"{name}_low": low, f"{name}_high": high}


def families(answers: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Return the answers that are corrected together: of a forecaster, and of one set of studies.

    What the word list says is shown beside and never promoted, so it belongs to none.
    """
    sets = (STUDIES, WHOLE)
    return [
        [a for a in answers if a["forecaster"] == forecaster and a["study"] in studies]
        for studies in sets
        for forecaster in dict.fromkeys(a["forecaster"] for a in answers)
    ]


def replaced(file: str, names: Sequence[str], rows: Sequence[dict[str, Any]]) -> None:
    """Write a table anew; rows of studies that were not run in this project stay."""
    path, own = RESULTS / file, {row["study"] for row in rows}
    kept: list[dict[str, Any]] = []
    if path.exists():
        with path.open(newline="") as old:
            kept = [
                {"claim": "tone"} | row for row in csv.DictReader(old) if row["study"] not in own
            ]
    with path.open("w", newline="") as new:
        writer = csv.DictWriter(new, names, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows([*kept, *rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("what", choices=("prepare", "plan", "run", "table"))
    parser.add_argument("project", type=Path)
    parser.add_argument("--data", type=Path, help="folder of bars, metrics and texts")
    parser.add_argument("--study", choices=tuple(EVERY), action="append")
    words = parser.parse_args()
    if words.what == "prepare":
        prepare(words.project, words.data)
    elif words.what == "plan":
        plan(words.project, words.study or tuple(EVERY))
    elif words.what == "run":
        for name in words.study or tuple(EVERY):
            run(words.project, name)
    else:
        table(words.project)


if __name__ == "__main__":
    main()
