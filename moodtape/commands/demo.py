"""`moodtape demo`: the whole line on the shipped sample."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from moodtape.commands.console import note, say, steps
from moodtape.commands.options import Quiet


def demo(
    folder: Annotated[Path, typer.Option(help="Where the demo's project is made.")] = Path(
        "moodtape-demo"
    ),
    quiet: Quiet = False,
) -> None:
    """Run the whole line on the shipped sample: no network, no key, no GPU."""
    from moodtape.commands.model import print_forecasts, print_training
    from moodtape.commands.study_printed import print_answers
    from moodtape.demo import run_demo

    with steps(quiet) as told:
        outcome = run_demo(folder, told)
    say("1. Does sentiment help? Three weeks of headlines")
    print_answers(outcome.sentiment)
    say("\n2. Do on-chain metrics help? Nine weeks of blocks")
    print_answers(outcome.onchain)
    say("\n3. The served model")
    print_training(outcome.training)
    print_forecasts(outcome.forecasts["results"])
    say(f"\nOpen the page: {(folder / outcome.sentiment['report']).resolve()}")
    note(f"Done in {outcome.seconds:.0f} s. Look around: moodtape status --project {folder}")
