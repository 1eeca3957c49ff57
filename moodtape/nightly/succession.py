"""Whether a new model follows the one in use.

1. first      without a model in use the new one follows when it is clean and sound
2. window     the last weeks, on which the model in use has forecast in time; else it stays
3. challenge  the same recipe, trained on what was known before the window, forecasts it
4. gate       its loss may not be larger by a margin than that of the model in use, as issued,
              nor than that of the pinned one, so that skill cannot sink by a margin a week
5. refit      the same number of epochs, on everything known now; clean and sound, it moves in

Every decision is entered, with its reason.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moodtape.clock import parse_duration
from moodtape.config import Config
from moodtape.errors import GateFailed, MoodtapeError
from moodtape.nightly.champion import CHALLENGERS, models_in_use, pinned
from moodtape.settings import Settings
from moodtape.storage.promotions import Word, record_promotion
from moodtape.storage.settlements import live_forecasts
from moodtape.storage.write import new_run_id
from moodtape.study.ground import Question
from moodtape.study.project import warehouse_of

if TYPE_CHECKING:
    import pandas as pd

    from moodtape.forecaster.gate import Bound

Tell = Callable[[int, int, str], None]
AUDIT_CUTS = 2


@dataclass(frozen=True)
class Decision:
    """What became of a challenger. model: the run that is in use since, where one is."""

    challenger: str
    champion: str
    word: Word
    why: str
    figures: dict[str, list[dict[str, Any]]]
    model: str | None = None


def train_next(settings: Settings, now: datetime, tell: Tell | None = None) -> Decision:
    """Train a challenger on what is known now, compare it, and let it follow or not.

    Raises:
        GateFailed: the audit found look-ahead, or forecasts cannot be believed; the model in
            use stays.
    """
    in_use = models_in_use(settings)
    try:
        if in_use:
            decision = _challenge(settings, in_use, now, tell)
        else:
            model = _let_in(settings, now, None, tell)
            decision = Decision(model, "none", "promoted", "There was no model in use.", {}, model)
    except GateFailed as exc:
        champion = in_use[0].name if in_use else "none"
        _enter(settings, Decision(new_run_id(now), champion, "kept", str(exc), {}), now)
        raise
    _enter(settings, decision, now)
    return decision


def _enter(settings: Settings, decision: Decision, now: datetime) -> None:
    with warehouse_of(settings).write() as connection:
        record_promotion(
            connection, decision.challenger, decision.champion, decision.word, decision.why,
            decision.figures, decision.model, new_run_id(now), now,
        )  # fmt: skip


def _challenge(
    settings: Settings, in_use: Sequence[Path], now: datetime, tell: Tell | None
) -> Decision:
    config, champion = settings.config, in_use[0].name
    since = now - timedelta(days=config.nightly.gate_days)
    issued = _issued(settings, since, now)
    blocks = _most_blocks(issued, config)
    if blocks < config.nightly.gate_blocks:
        why = (
            f"The last {config.nightly.gate_days:g} days hold {len(issued):,} forecasts made in"
            f" time, at most {blocks:.0f} independent blocks;"
            f" {config.nightly.gate_blocks:g} are needed to compare."
        )
        return Decision(new_run_id(now), champion, "kept", why, {})
    cut = since - _purge(config)
    result = _train(settings, cut, now, None, tell)
    folder = settings.runs / CHALLENGERS / result["run"]
    try:
        figures = _figures(settings, folder, issued, since, now)
    except MoodtapeError as exc:
        why = f"The comparison cannot be made: {exc}"
        return Decision(folder.name, champion, "kept", why, {})
    shown = {name: [asdict(b) for b in bounds] for name, bounds in figures.items()}
    against = reason_to_keep(figures, config)
    if against is not None:
        return Decision(folder.name, champion, "kept", against, shown)
    model = _let_in(settings, now, result["best_epoch"], tell)
    why = f"Its loss is larger by less than {config.nightly.gate_margin:.1%} at 95 % confidence."
    return Decision(folder.name, champion, "promoted", why, shown, model)


def reason_to_keep(figures: dict[str, list[Bound]], config: Config) -> str | None:
    """Return why the model in use stays, or None when the new one may follow."""
    for name, bounds in figures.items():
        if not bounds:
            return f"It has no forecasts in common with {name}."
        for bound in bounds:
            if bound.upper >= config.nightly.gate_margin:
                return (
                    f"Its loss of {bound.target} is {bound.increase:+.2%} against {name}, and may"
                    f" be {bound.upper:+.2%}; less than {config.nightly.gate_margin:.1%} is asked."
                )
            if bound.blocks < config.nightly.gate_blocks:
                return (
                    f"{bound.target} against {name} has {bound.blocks:.0f} independent blocks;"
                    f" {config.nightly.gate_blocks:g} are needed."
                )
    return None


def _issued(settings: Settings, since: datetime, now: datetime) -> pd.DataFrame:
    """Return the forecasts that were made in time in the window, as they were issued."""
    with warehouse_of(settings).read() as connection:
        live = live_forecasts(connection, now)
    market = settings.config.market
    inside = (
        (live["cutoff"] > since)
        & live["symbol"].isin(market.symbols)
        & (live["interval"] == market.interval)
    )
    return live[inside]


def _most_blocks(issued: pd.DataFrame, config: Config) -> float:
    """Return how many blocks the forecasts can be worth, of the shortest that a test has."""
    from moodtape.forecaster.stats import shortest_block

    if issued.empty:
        return 0.0
    per_day = parse_duration("1d") / parse_duration(config.market.interval)
    shortest = shortest_block(int(issued["horizon_bars"].min()), per_day)
    return float(issued["cutoff"].nunique() / shortest)


def _purge(config: Config) -> timedelta:
    """Return how long before the window the challenger's knowledge ends."""
    bars = config.walk_forward.embargo_bars + max(config.target.horizons)
    return bars * parse_duration(config.market.interval)


def _figures(
    settings: Settings, folder: Path, issued: pd.DataFrame, since: datetime, now: datetime
) -> dict[str, list[Bound]]:
    """Return the challenger's bounds against the model in use and against the pinned one."""
    from moodtape.forecaster.gate import compare

    interval = settings.config.market.interval
    new = _forecasts_of(settings, folder, since, now)
    figures = {"the model in use": compare(new, issued, interval)}
    reference = pinned(settings)
    if reference is not None and reference != models_in_use(settings)[0]:
        answered = issued.drop(columns=["mean", "p_up", "volatility"])
        said = _forecasts_of(settings, reference, since, now)
        key = ["symbol", "horizon_bars", "cutoff"]
        values = [*key, "mean", "p_up", "volatility"]
        old = answered.merge(said[values], on=key)
        figures[f"the pinned {reference.name}"] = compare(new, old, interval)
    return figures


def _forecasts_of(settings: Settings, folder: Path, since: datetime, now: datetime) -> pd.DataFrame:
    """Return what a model says of every decision of the window, each as of itself."""
    import pandas as pd

    from moodtape.study.forecasting import forecast_missed

    caught = forecast_missed(warehouse_of(settings), settings.config, [folder], now, since)
    columns = ["symbol", "horizon_bars", "cutoff", "mean", "p_up", "volatility"]
    table = pd.DataFrame([{c: item.get(c) for c in columns} for item in caught.forecasts],
                         columns=columns)  # fmt: skip
    return table.astype({"cutoff": "datetime64[us, UTC]"})


def _train(
    settings: Settings, as_of: datetime, now: datetime, epochs: int | None, tell: Tell | None
) -> dict[str, Any]:
    """Train in the nursery on what was known at an instant, for so many epochs if they are told."""
    from dataclasses import replace

    from moodtape.forecasts import train

    if epochs is not None:
        fixed = settings.config.training.model_copy(update={"epochs": epochs, "patience": epochs})
        settings = replace(settings, config=settings.config.model_copy(update={"training": fixed}))
    question = Question(settings.config.ablation.subject, until=as_of, as_of=as_of)
    return train(settings, question, "moodtape nightly", tell, now, settings.runs / CHALLENGERS)


def _let_in(settings: Settings, now: datetime, epochs: int | None, tell: Tell | None) -> str:
    """Train on everything known, audit, look at the forecasts, and put the model into use."""
    from moodtape.studies import run_audit

    result = _train(settings, now, now, epochs, tell)
    folder = settings.runs / CHALLENGERS / result["run"]
    audited = run_audit(settings, Question(settings.config.ablation.subject, as_of=now), AUDIT_CUTS)
    if not audited.clean:
        raise GateFailed(f"{audited.sentence()} The model in use stays; see {folder}")
    require_sound(settings, folder, now)
    folder.rename(settings.runs / folder.name)
    return str(folder.name)


def require_sound(settings: Settings, folder: Path, now: datetime) -> None:
    """Make sure that a challenger's newest forecasts can be believed at all.

    Raises:
        GateFailed: a probability outside 0 to 1, quantiles out of order, a volatility that is
            none; or it cannot be served.
    """
    import math

    from moodtape.study.forecasting import forecast_newest

    for item in forecast_newest(warehouse_of(settings), settings.config, folder, now):
        levels = list((item["quantiles"] or {}).values())
        numbers = [*levels, *(item[k] for k in ("p_up", "volatility") if item[k] is not None)]
        sound = (
            all(math.isfinite(number) for number in numbers)
            and levels == sorted(levels)
            and (item["p_up"] is None or 0 <= item["p_up"] <= 1)
            and (item["volatility"] is None or 0 < item["volatility"] < 1)
        )
        if not sound:
            raise GateFailed(
                f"The new model forecasts {item['symbol']} in a way that cannot be: P(up)"
                f" {item['p_up']}, quantiles {levels}, volatility {item['volatility']}."
                f" The model in use stays; see {folder}"
            )
