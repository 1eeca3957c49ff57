"""The runs behind the figures of docs/calibration.md: one command of `calibrate` for each file."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "calibration"

NO_EFFECT = '--kind nothing --kind echo --kind "old echo" --kind counts --kind heavy'
EFFECTS = (
    "--worlds 200 --kind return --kind volatility --gain 0.001 --gain 0.0025 --gain 0.005"
    " --gain 0.01 --gain 0.02 --planted-draws 0"
)
COVERED = "--kind nothing --kind heavy --kind return --gain 0.02 --planted-draws 0"
DAYS = "--interval 1d --config {configs}/days.toml"
SMALL = "--forecaster network --config {page}/small_network.toml"


@dataclass(frozen=True)
class Run:
    """One file of worlds: its name, what `calibrate` is asked for, and what the page calls it."""

    name: str
    options: str
    called: str = ""

    def command(self, folder: Path, jobs: int) -> list[str]:
        """Return the command line, to be run in the folder."""
        places = {"configs": ROOT / "configs", "page": FOLDER}
        near = {name: os.path.relpath(place, folder) for name, place in places.items()}
        asked = shlex.split(self.options.format(**near))
        told = ("--quiet", "--jobs", str(jobs), "--block", "certify")
        return ["moodtape", "calibrate", *told, *asked, "--out", f"{self.name}.csv"]


LENGTHS = (
    Run("power_3_months", f"--hours 2190 {EFFECTS}", "3 months of hours"),
    Run("power_1_year", f"--hours 8760 {EFFECTS}", "1 year of hours"),
    Run("power", f"--hours 17520 {EFFECTS}", "2 years of hours"),
    Run("power_4_years", f"--hours 35040 {EFFECTS}", "4 years of hours"),
    # Of days 532 more are drawn, since the slowest features look back on that many.
    Run("power_days_1_year", f"--hours 21528 {DAYS} {EFFECTS}", "1 year of days"),
    Run("power_days_3_years", f"--hours 39048 {DAYS} {EFFECTS}", "3 years of days"),
)
# Effects as large as the margin, of which `does not help` would be wrong, and none at all.
ABSENT = (
    Run("absent_volatility", "--hours 17520 --worlds 400 --kind volatility --gain 0.01"),
    Run("absent_return", "--hours 35040 --worlds 200 --kind return --gain 0.00255 --gain 0.005"),
    Run("absent_nothing_2_years", "--hours 17520 --worlds 100 --kind nothing"),
    Run("absent_nothing", "--hours 35040 --worlds 100 --kind nothing"),
)
RUNS = (
    Run("no_effect", f"--hours 4380 --worlds 400 {NO_EFFECT}"),
    *LENGTHS,
    *ABSENT,
    Run("coverage", f"--hours 4380 --worlds 70 --fresh-bars 200000 {COVERED}"),
    Run("coverage_24", f"--hours 17520 --worlds 40 --horizon 24 --fresh-bars 200000 {COVERED}"),
    Run("network", f"--worlds 12 {SMALL} {NO_EFFECT} --planted-draws 0"),
    Run("network_coverage", f"--worlds 10 --fresh-bars 100000 {SMALL} {COVERED}"),
    Run(
        "attention",
        f"--hours 4380 --worlds 70 --attention {NO_EFFECT} --kind crowd --gain 0.05"
        " --planted-draws 0",
    ),
    Run("from_texts", "--hours 4380 --worlds 10 --gain 0.05 --from-texts"),
)
