"""`backtest`: what trading on a study's test forecasts would have brought, and cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from moodtape.commands.console import note, print_json, print_table, say, steps
from moodtape.commands.options import (
    ConfigFiles,
    Json,
    Project,
    Quiet,
    Run,
    command_line,
    settings_of,
)


def backtest(
    run: Run = None,
    forecaster: Annotated[
        str | None, typer.Option(help="Whose forecasts: network, linear ...", metavar="NAME")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Arm or baseline, such as null.", metavar="NAME")
    ] = None,
    instrument: Annotated[
        str | None, typer.Option(help="spot (long or flat) or perp (with shorts, if funded).")
    ] = None,
    config: ConfigFiles = None,
    project: Project = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Trade on a study's test forecasts, with costs and risk rules, beside what needs no forecast.

    It says nothing about whether sentiment helps: that is the study's word.
    """
    from moodtape.backtests import backtest as simulated

    settings = settings_of(project, config, {"trading.instrument": instrument})
    with steps(quiet or as_json) as told:
        results = simulated(settings, run, forecaster, model, command_line(), told)
    if as_json:
        print_json(results)
    else:
        print_backtest(results)


def print_backtest(results: Mapping[str, Any]) -> None:
    """Print each question's figures beside its rivals', and what luck makes of them."""
    settings = results["settings"]
    say(
        f"{results['model']} by {results['forecaster']} in {results['study']}:"
        f" {settings['instrument']}, {settings['fee_bps']:g} bps fee and"
        f" {settings['slippage_bps']:g} bps slippage a trade"
    )
    for row in results["results"]:
        _print_question(row, results["model"])
    for warning in results["warnings"]:
        note(f"Note: {warning}")
    say("\nTrading figures never enter a verdict. The study's page shows them below its answers.")


def _print_question(row: Mapping[str, Any], model: str) -> None:
    bars = "bar" if row["horizon_bars"] == 1 else "bars"
    say(
        f"\n{row['symbol']}, {row['target']} {row['horizon_bars']} {bars} ahead,"
        f" {row['from'][:16].replace('T', ' ')} to {row['until'][:16].replace('T', ' ')} UTC"
    )
    own = {**row["figures"], "name": model}
    ideal = {**row["optimistic"], "name": f"{model}, unattainable fills"}
    heads = {
        "name": "strategy", "total": "return", "sharpe": "Sharpe", "fall": "deepest fall",
        "held": "exposure", "trades": "trades", "gain": "Sharpe of ours over it",
    }  # fmt: skip
    print_table([_shown(item) for item in (own, ideal, *row["rivals"])], heads)
    say(_luck(row))


def _shown(item: Mapping[str, Any]) -> dict[str, Any]:
    gain = "-"
    if item.get("sharpe_gain") is not None:
        low, high = item["sharpe_gain_low"], item["sharpe_gain_high"]
        gain = f"{item['sharpe_gain']:+.2f} ({low:+.2f} to {high:+.2f})"
    return {
        **item,
        "sharpe": None if item["sharpe"] is None else round(item["sharpe"], 2),
        "total": f"{item['total_return']:+.2%}",
        "fall": f"{item['max_drawdown']:.2%}",
        "held": f"{item['exposure']:.0%}",
        "gain": gain,
    }


def _luck(row: Mapping[str, Any]) -> str:
    """Say in a sentence or two what costs and luck leave of the figures."""
    parts = []
    if row["break_even_bps"] is None:
        parts.append("It never traded.")
    elif row["break_even_bps"] <= 0:
        parts.append("It loses even without costs.")
    else:
        parts.append(f"Costs of {row['break_even_bps']:.1f} bps a trade would eat its profit.")
    drawn = row["random"]
    if drawn["draws"]:
        parts.append(
            f"{drawn['share_better']:.0%} of {drawn['draws']:,} random strategies of equal holding"
            " times did as well."
        )
    deflated = row["deflated_sharpe"]
    if deflated["probability"] is None:
        parts.append(f"Deflated Sharpe ratio: not defined ({deflated['tried']} tried, 10 needed).")
    else:
        parts.append(
            f"Deflated Sharpe ratio: {deflated['probability']:.0%} that skill, not the best of"
            f" {deflated['tried']} tries, made it."
        )
    over = row["overfitting"]
    if over["probability"] is None:
        parts.append(
            f"Probability of overfitting: not defined ({over['strategies']} strategies share"
            f" {over['days']} days; 4 and 40 are needed)."
        )
    else:
        parts.append(
            f"Probability of overfitting: {over['probability']:.0%}, that the best of"
            f" {over['strategies']} strategies on half of {over['days']} days is below their median"
            " on the others."
        )
    return " ".join(parts)
