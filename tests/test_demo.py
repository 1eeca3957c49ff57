from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from moodtape.demo import DemoOutcome, import_sample, make_project, run_demo
from moodtape.study.project import warehouse_of


def quiet(done: int, total: int, what: str) -> None:
    """Tell nobody."""


def forecasts(folder: Path, run: str) -> pd.DataFrame:
    return pd.read_parquet(folder / "runs" / run / "predictions.parquet")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # exporters warn about their own internals
def test_the_demo_tells_the_truth_and_repeats_itself_bit_for_bit(tmp_path: Path) -> None:
    first: DemoOutcome = run_demo(tmp_path, quiet)
    second: DemoOutcome = run_demo(tmp_path, quiet)
    for one, two in ((first.sentiment, second.sentiment), (first.onchain, second.onchain)):
        assert one["audit"]["clean"]
        assert {a["verdict"] for a in one["results"]} == {"cannot tell"}
        assert (tmp_path / one["report"]).is_file()
        pd.testing.assert_frame_equal(
            forecasts(tmp_path, one["run"]), forecasts(tmp_path, two["run"]), check_exact=True
        )
    assert first.sentiment["texts_used"] == 3382
    assert first.onchain["metrics"], "no metric reached the second study"
    (forecast,) = first.forecasts["results"]
    assert forecast["cutoff"] == "2025-05-25T00:00:00+00:00"
    assert forecast | {"run": ""} == second.forecasts["results"][0] | {"run": ""}


def test_importing_the_sample_twice_stores_it_once(tmp_path: Path) -> None:
    settings = make_project(tmp_path)
    import_sample(settings, quiet)
    import_sample(settings, quiet)
    with warehouse_of(settings).read() as connection:
        counts = {
            table: connection.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0]
            for table in ("bar", "document", "quarantine")
        }
    assert counts == {"bar": 4859 + 3096, "document": 3382, "quarantine": 0}
