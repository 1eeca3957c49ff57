"""A run becomes one self-contained page: no script, no link to anywhere, no network.

    1. numbers.py, words.py    figures and the verdict as the reader sees them
    2. scales.py, paths.py     where values and times lie, as SVG
    3. marks.py                effects with their intervals, by fold and by seed
       plots.py, strips.py     pictures over time
    4. tables.py, csvs.py      losses by arm; the same numbers as files
       reliability.py          calibrated outputs against what happened
       trading.py              what a backtest of the run came to
    5. template.html.j2, figures.html.j2, style.css: the page itself

Every text in it was collected or typed by somebody: the template escapes all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from moodtape.forecaster.report import marks, numbers, plots, reliability, strips, tables, words
from moodtape.forecaster.report.csvs import write_csvs
from moodtape.forecaster.report.series import ReportSeries
from moodtape.forecaster.report.trading import Traded, simulated
from moodtape.forecaster.verdict import CANNOT_TELL

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["ReportSeries", "Traded", "render_page", "write_csvs"]

# Answers beyond this are drawn under the first screen, below a table of words.
FIRST_SCREEN_ROWS = 12

MOST_DRAWN = 12
"""Assets of a panel that are drawn over time: of ninety, pictures alone are several megabytes."""


def render_page(
    results: Mapping[str, Any], series: ReportSeries, traded: Traded | None = None
) -> str:
    """Return a run's page as HTML.

    Args:
        results: the run's `results.json` as a dictionary; effects and margins are shares
            of null's loss; None and NaN print as a dash.
        series: what is drawn over time.
        traded: what `backtest` left of the run, if it did.
    """
    clean = numbers.tidy(results)
    if traded is not None:
        traded = Traded(numbers.tidy(traded.results), traded.paths)
    template = _environment().get_template("template.html.j2")
    return template.render(**_context(clean, series), **_trading(traded))


def _trading(traded: Traded | None) -> dict[str, Any]:
    return {"trading": traded.results if traded else None, "simulated": simulated(traded)}


def _context(results: Mapping[str, Any], series: ReportSeries) -> dict[str, Any]:
    question, answers = results["question"], results["results"]
    interval = str(question["interval"])
    decisive = marks.deciding(answers)
    columns = tables.contenders(results)
    groups, rests_on = tables.importance_rows(results.get("importance", ()))
    kept = results.get("calibration", ())  # runs made before outputs were calibrated have none
    clocks, by_clock = tables.clock_rows(results.get("clocks", ()))
    months, by_month = tables.month_rows(results.get("months", ()))
    regimes, by_regime = tables.regime_table(results.get("regimes", ()))
    spread_rows, spread_axes = marks.spread(decisive, interval)
    drawn = _drawn(question["symbols"], decisive)
    return {
        "r": results,
        "question": question,
        "answers": answers,
        "decisive": decisive,
        "subject": words.subject(question),
        "second": results.get("attention") or (),
        "headline": words.headline(question, decisive),
        "because": words.parted(str(decisive[0]["sentence"]))[1] if len(decisive) == 1 else "",
        "forest": marks.forest(decisive, interval),
        "crowded": len(decisive) > FIRST_SCREEN_ROWS,
        "words_by_symbol": _words_by_symbol(decisive),
        "questions": list(dict.fromkeys((a["target"], a["horizon_bars"]) for a in decisive)),
        "contenders": columns,
        "loss_rows": tables.loss_rows(answers, columns),
        "real": tables.real_arm(results),
        "beside": [answer for answer in answers if answer.get("beside")],
        "planted": [answer for answer in answers if answer.get("planted")],
        "spread": spread_rows,
        "spread_axes": spread_axes,
        "fold_strip": strips.fold_strip(results["folds"]),
        "fold_numbers": list(dict.fromkeys(f["fold"] for a in answers for f in a["fold_effects"])),
        "months": months,
        "month_rows": by_month,
        "regimes": regimes,
        "regime_rows": by_regime,
        "clocks": clocks,
        "clock_rows": by_clock,
        "leads": tables.lead_pairs((results.get("lead_lag") or {}).get("rows", ())),
        "importance_groups": groups,
        "importance_rows": rests_on,
        "interval_lines": reliability.interval_lines(kept, interval),
        "reliabilities": reliability.reliabilities(kept, interval),
        "drawn": drawn,
        "running": plots.running_losses(
            series, [answer for answer in answers if answer["symbol"] in drawn], interval
        ),
        "stacks": plots.price_and_tone(series, drawn),
        "coverage_strip": strips.coverage_strip(results["coverage"]),
        "style": files(__package__).joinpath("style.css").read_text(encoding="utf-8"),
    }


def _drawn(symbols: Sequence[str], decisive: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the assets that are drawn over time, in their order: first those with an answer."""
    told = {a["symbol"] for a in decisive if a["verdict"] != CANNOT_TELL}
    chosen = sorted(symbols, key=lambda symbol: symbol not in told)[:MOST_DRAWN]
    return [symbol for symbol in symbols if symbol in chosen]


def _words_by_symbol(
    answers: list[Mapping[str, Any]],
) -> dict[str, dict[tuple[str, int], Mapping[str, Any]]]:
    found: dict[str, dict[tuple[str, int], Mapping[str, Any]]] = {}
    for answer in answers:
        key = (answer["target"], answer["horizon_bars"])
        found.setdefault(answer["symbol"], {})[key] = answer
    return found


def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("moodtape.forecaster", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "named": words.named,
        "signed": numbers.signed_percent,
        "percent": numbers.percent,
        "share": numbers.share,
        "interval": numbers.interval,
        "p_value": numbers.p_value,
        "count": numbers.count,
        "number": numbers.number,
        "ratio": numbers.ratio,
        "short": numbers.short,
        "instant": numbers.instant,
        "day": numbers.day,
        "duration": numbers.duration,
        "shown": numbers.shown,
        "sentence": words.sentence,
        "mark": words.mark,
        "word_class": words.word_class,
        "treatment": words.treatment,
        "detectable": words.detectable,
        "why": words.why,
    }
    environment.globals |= {"horizon": numbers.horizon, "answer_label": marks.answer_label}
    return environment
