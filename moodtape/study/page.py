"""The page of a finished study, made again from its run folder."""

from __future__ import annotations

from pathlib import Path

from moodtape.forecaster.report.page import ReportSeries, render_page
from moodtape.forecaster.runs import REPORT, RESULTS, read_json, write_text
from moodtape.study.backtest import traded_of

SERIES = ("price", "tone", "losses", "gate")
LOSSES = "series_losses.parquet"
"""Without these a folder's page cannot be made again."""


def page_again(folder: Path) -> Path:
    """Write the page of a study as its folder has it by now, with its backtest; return where."""
    import pandas as pd

    files = {name: folder / f"series_{name}.parquet" for name in SERIES}
    if not files["gate"].exists():  # a run made before gates were kept
        del files["gate"]
    tables = {name: pd.read_parquet(file) for name, file in files.items()}
    page = render_page(read_json(folder / RESULTS), ReportSeries(**tables), traded_of(folder))
    write_text(folder / REPORT, page)
    return folder / REPORT
