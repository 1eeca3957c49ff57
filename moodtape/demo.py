"""The whole line on the shipped sample: import, score, two studies, one model, a forecast.

The sample's three weeks of headlines are far too few to tell whether they help, and the
demo says so. It may be run twice; the second time everything is known already.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moodtape.clock import parse_instant
from moodtape.settings import PROJECT_FILE, Settings, bundled_config, load_settings
from moodtape.study.project import Steps

if TYPE_CHECKING:
    from moodtape.ingest.importer import ImportOptions

SENTIMENT_SPAN = ("2025-03-15", "2025-05-25")
ONCHAIN_SPAN = ("2023-02-16", "2023-04-21")
LAST_BAR = "2025-05-25T00:05Z"
"""Just after the decision on the sample's newest bar."""


@dataclass(frozen=True)
class DemoOutcome:
    """Results of the demo's commands, as `--json` would print them."""

    sentiment: dict[str, Any]
    onchain: dict[str, Any]
    training: dict[str, Any]
    forecasts: dict[str, Any]
    seconds: float


def run_demo(folder: Path, progress: Steps) -> DemoOutcome:
    """Make the demo's project in a folder and run the whole line there."""
    from moodtape.forecasts import predict, train
    from moodtape.pipeline import score_texts
    from moodtape.studies import ablate
    from moodtape.study.ground import Question

    started = time.monotonic()
    settings = make_project(folder)
    import_sample(settings, progress)
    score_texts(
        settings, None, lambda done, total: progress(done, total, "scoring headlines, texts")
    )

    def staged(name: str) -> Steps:
        return lambda done, total, what: progress(done, total, f"{name}: {what}")

    about_texts = Question("sentiment", *_span(SENTIMENT_SPAN))
    sentiment = ablate(settings, about_texts, "moodtape demo", staged("study of headlines"))
    about_chain = Question("onchain", *_span(ONCHAIN_SPAN))
    chain_settings = load_settings(
        folder, (), {"features.groups": ["price", "calendar", "onchain"],
                     "walk_forward.folds": 3, "walk_forward.test_fraction": 0.55}
    )  # fmt: skip
    onchain = ablate(chain_settings, about_chain, "moodtape demo", staged("study of blocks"))
    training = train(settings, about_texts, "moodtape demo", staged("training"))
    progress(0, 0, "forecasting")
    forecasts = predict(settings, training["run"], parse_instant(LAST_BAR))
    return DemoOutcome(sentiment, onchain, training, forecasts, time.monotonic() - started)


def _span(ends: tuple[str, str]) -> tuple[datetime, datetime]:
    return parse_instant(ends[0]), parse_instant(ends[1])


def make_project(folder: Path) -> Settings:
    """Return the settings of the demo's project, which is made if it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / PROJECT_FILE
    if not path.exists():
        path.write_text(bundled_config("smoke.toml"), encoding="utf-8")
    return load_settings(folder)


def import_sample(settings: Settings, progress: Steps) -> None:
    """Take the shipped bars, blocks and headlines in."""
    from moodtape.ingest.importer import ImportOptions
    from moodtape.pipeline import import_files
    from moodtape.sample import sample_file

    bars = ImportOptions("bars", symbol="BTC", quote="USD", venue="cryptocompare", interval="1h")
    blocks = ImportOptions("metrics", symbol="BTC", provider="blocks")
    files: tuple[tuple[str, ImportOptions], ...] = (
        ("btc_usd_1h.parquet", bars),
        ("btc_usd_1h_2023.parquet", bars),
        ("btc_blocks_2023.parquet", blocks),
        ("headlines_2025-05.parquet", ImportOptions("documents", source="news", crawled=True)),
    )
    for number, (name, options) in enumerate(files):
        progress(number, len(files), f"importing {name}")
        import_files(settings, [sample_file(name)], options)
