"""`calibrate`: the verdict measured on worlds whose truth is known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from moodtape.clock import utc_now
from moodtape.commands.console import note, print_json, print_table, say, steps
from moodtape.commands.options import (
    ConfigFiles,
    Json,
    Preset,
    Project,
    Quiet,
    command_line,
    settings_of,
    study_overrides,
)
from moodtape.errors import UsageError

if TYPE_CHECKING:
    from moodtape.calibrate.rates import Rate


def calibrate(
    worlds: Annotated[int, typer.Option(help="Worlds of each kind and size.", min=1)] = 10,
    hours: Annotated[int, typer.Option(help="Length of a world in hours.", min=2000)] = 4380,
    kind: Annotated[
        list[str] | None,
        typer.Option(help="Only this kind of world; may be repeated. All by default."),
    ] = None,
    gain: Annotated[
        list[float] | None,
        typer.Option(help="Size of an effect, a share of the loss; may be repeated."),
    ] = None,
    like_mine: Annotated[
        bool,
        typer.Option(
            "--like-mine",
            help="Worlds like the project's own bars and texts of its first asset, in another"
            " order; their length is that of the texts.",
        ),
    ] = False,
    from_texts: Annotated[
        bool,
        typer.Option(
            "--from-texts",
            help="Write the texts of a world out, import and score them: the whole line, by the"
            " lexicon.",
        ),
    ] = False,
    block: Annotated[
        str, typer.Option(help="Seeds: develop to try rules on, certify once for each change.")
    ] = "develop",
    jobs: Annotated[int, typer.Option(help="Processes side by side.", min=1)] = 1,
    forecaster: Annotated[
        str | None,
        typer.Option(
            help="What gives the word: network, linear or boosting; linear by default, for cost.",
            metavar="NAME",
        ),
    ] = None,
    preset: Preset = None,
    horizon: Annotated[
        list[int] | None,
        typer.Option(help="Bars ahead; may be repeated. Those of the config by default."),
    ] = None,
    interval: Annotated[
        str, typer.Option(help="Length of a bar in drawn worlds: 1h or 1d.", metavar="LENGTH")
    ] = "1h",
    attention: Annotated[
        bool,
        typer.Option("--attention", help="Ask whether the number of texts helps, too."),
    ] = False,
    planted_draws: Annotated[
        int | None,
        typer.Option(
            help="Effects planted in a world where `does not help` hangs on them; 0 never says it."
            " As the config has it by default.",
            min=0,
        ),
    ] = None,
    fresh_bars: Annotated[
        int,
        typer.Option(
            help="Bars on which it is measured what the fitted models are worth, to see whether"
            " the printed interval holds it; 0 leaves that out.",
            min=0,
        ),
    ] = 0,
    out: Annotated[
        Path, typer.Option(help="CSV of every world; what it holds already is not done again.")
    ] = Path("worlds.csv"),
    svg: Annotated[
        Path | None,
        typer.Option(help="Picture of how often effects were said to help.", metavar="FILE"),
    ] = None,
    config: ConfigFiles = None,
    project: Project = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure how often the words are wrong, on drawn worlds whose truth is known."""
    from moodtape.calibrate.log import log_run
    from moodtape.calibrate.mine import MINE_KINDS, read_mine
    from moodtape.calibrate.plot import power_svg
    from moodtape.calibrate.rates import coverage, error_rates, power
    from moodtape.calibrate.run import cell_key, plan, read_rows, run_worlds
    from moodtape.calibrate.study import Way, settings_for_worlds, settings_like_mine
    from moodtape.calibrate.worlds import EFFECTS, KINDS
    from moodtape.forecaster.claims import ATTENTION, TONE
    from moodtape.forecaster.forecasters import LINEAR
    from moodtape.forecaster.runs import write_text
    from moodtape.study.project import refresh_hours_if_dirty, warehouse_of

    known = MINE_KINDS if like_mine else KINDS
    kinds, gains = tuple(kind or known), tuple(gain or (0.02, 0.05))
    _require(kinds, known, gains, block)
    if interval not in ("1h", "1d"):
        raise UsageError("--interval is 1h or 1d: drawn bars are hours or days.")
    if interval != "1h" and (like_mine or fresh_bars or from_texts):
        raise UsageError("--interval is of drawn worlds alone, and not of --fresh-bars.")
    if svg is not None and not set(kinds) & {k for k in known if k.split()[-1] in EFFECTS}:
        raise UsageError("--svg shows effects; the chosen --kind have none.")
    if fresh_bars + from_texts and (like_mine or (fresh_bars and from_texts)):
        raise UsageError("Give one of --fresh-bars, --from-texts and --like-mine.")
    settings = settings_of(
        project, config, study_overrides(preset, horizons=horizon, forecaster=forecaster)
    )
    told_by = settings.config.verdict.forecaster if forecaster else LINEAR
    changes: dict[str, dict[str, Any]] = {"verdict": {"forecaster": told_by}}
    if attention:
        changes["ablation"] = {"claims": (TONE, ATTENTION)}
    if interval != "1h":
        changes["market"] = {"interval": interval}
    if planted_draws is not None:
        changes["verdict"]["planted_draws"] = planted_draws
    if from_texts:
        changes["sentiment"] = {"scorer": "lexicon"}
    mine = None
    if like_mine:
        refresh_hours_if_dirty(settings)
        chosen = settings_like_mine(settings.config, changes)
        mine = read_mine(warehouse_of(settings), chosen)
        hours = len(mine.hours)
    else:
        chosen = settings_for_worlds(settings.config, changes)
    cells = plan(block, kinds, gains, hours, worlds)
    way = Way(fresh_bars, from_texts, mine)
    log_run(out, chosen, way, utc_now(), command_line())
    with steps(quiet or as_json) as told:
        run_worlds(cells, chosen, out, jobs, told, way)
    wanted = {cell.key for cell in cells}
    rows = [row for row in read_rows(out) if cell_key(row) in wanted]
    errors, found, held = error_rates(rows), power(rows), coverage(rows)
    if svg is not None:
        write_text(svg, power_svg(found))
    if as_json:
        print_json(
            {
                "schema_version": 1, "command": "calibrate", "warnings": [], "worlds": str(out),
                "false_words": [
                    {**row, "false": {w: _plain(r) for w, r in row["false"].items()}}
                    for row in errors
                ],
                "power": [{**row, "helps": _plain(row["helps"])} for row in found],
                "coverage": [{**row, "held": _plain(row["held"])} for row in held],
            }
        )  # fmt: skip
        return
    _print(errors, found, held)
    note(f"Every world: {out}")


def _require(
    kinds: Sequence[str], known: Sequence[str], gains: Sequence[float], block: str
) -> None:
    """Refuse what no world has."""
    from moodtape.calibrate.study import BLOCKS

    if unknown := sorted(set(kinds) - set(known)):
        raise UsageError(f"--kind {unknown[0]!r} is none of {', '.join(known)}.")
    if block not in BLOCKS:
        raise UsageError(f"--block {block!r} is none of {', '.join(BLOCKS)}.")
    if not all(0 < gain < 0.5 for gain in gains):
        raise UsageError("--gain is a share of the loss, above 0 and below a half.")


def _print(
    errors: Sequence[dict[str, Any]],
    found: Sequence[dict[str, Any]],
    held: Sequence[dict[str, Any]],
) -> None:
    say("False words, in how many runs")
    rows = [
        {**row, **{word: _shown(rate) for word, rate in row["false"].items()}} for row in errors
    ]
    words = ("helps", "hurts", "does not help")
    print_table(rows, {n: n for n in ("kind", "gain", "hours", "worlds", *words)})
    cell = ("kind", "gain", "hours", "target")
    if found:
        say("\nEffects that were said to help")
        shown = [
            {**row, "truth": f"{row['truth']:.2%}", "helps": _shown(row["helps"])} for row in found
        ]
        print_table(shown, {n: n for n in (*cell, "claim", "truth", "helps")})
    if held:
        say("\nIntervals of 95 % that held what the fitted models are worth")
        shown = [{**row, "held": _shown(row["held"])} for row in held]
        print_table(shown, {n: n for n in (*cell, "horizon_bars", "held")})


def _shown(rate: Rate) -> str:
    low, high = rate.interval
    return f"{rate.count} of {rate.n} ({low:.1%} to {high:.1%})"


def _plain(rate: Rate) -> dict[str, Any]:
    return {"count": rate.count, "n": rate.n, "share": rate.share, "interval": rate.interval}
