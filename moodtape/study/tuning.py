"""One setting of the network for all arms, chosen on what was known before the first test.

    1. past      decisions whose answers were known before the first tested one, cut once more:
                 train | stop | calibrate | validate
    2. trial     a setting that Optuna proposes; the arms null, real and shift are fitted with it
                 and forecast the validated rows
    3. loss      the deciding loss as a share of the base rate's, mean over arms and targets
    4. best      the lowest; the setting in use is the first trial, so it is never made worse

Every trial goes to the ledger with the span it was validated on: a study that later tests on
that span counts it. Trials are kept one by one, so that an interrupted search goes on.
Source: Bergstra et al. (2011), tree-structured Parzen estimator, as in Optuna.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from moodtape.clock import from_datetime64
from moodtape.config import Config, WalkForwardSection
from moodtape.errors import DataMissing, UsageError
from moodtape.forecaster.arms import NULL, SHIFT, Arm, real_arm
from moodtape.forecaster.baselines import BASE_RATE, baselines
from moodtape.forecaster.checkpoint import computed_by, fit_key
from moodtape.forecaster.forecasters import NETWORK, FitPredict
from moodtape.forecaster.inputs import Draw, build_inputs
from moodtape.forecaster.metrics import deciding_loss
from moodtape.forecaster.runs import config_hash
from moodtape.forecaster.scaling import scaled_features
from moodtape.forecaster.seeds import child_seed
from moodtape.forecaster.shift import shift_room
from moodtape.forecaster.splits import Fold, cut_fold, fold_edges, latest_label, make_folds
from moodtape.records import Span
from moodtape.study.ground import Ground

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from moodtape.forecaster.dataset import Dataset

    Floats = NDArray[np.float64]

JOURNAL = "tuning.journal"
VALIDATED = 0.25
"""Share of the past that settings are compared on."""

DIVERGED = 1e6
"""Loss of a setting whose forecasts are no numbers: worse than any other's."""

LOOKBACKS = (24, 48, 60, 96)
BATCHES = (64, 128, 256)
UNITS = (16, 32, 64)
RATES = (2e-4, 1e-2)
DROPOUTS = (0.0, 0.5)
SETTINGS = {
    "training.learning_rate": RATES,
    "training.batch_size": BATCHES,
    "network.market_units": UNITS,
    "network.lookback_bars": LOOKBACKS,
    "network.dropout": DROPOUTS,
}
"""What is tuned: two ends of a range, or values to choose from."""

Setting = Mapping[str, Any]
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Tried:
    """One trial: a setting by dotted name, and its loss (below 1 beats the base rate)."""

    setting: Setting
    loss: float


def with_longest_lookback(config: Config) -> Config:
    """Return a config whose dataset holds the windows of every setting that may be tried."""
    longest = max(*LOOKBACKS, config.network.lookback_bars)
    return with_setting(config, {"network.lookback_bars": longest})


def with_setting(config: Config, setting: Setting) -> Config:
    """Return a config with some settings changed, by dotted name."""
    changed: dict[str, dict[str, Any]] = {}
    for name, value in setting.items():
        section, _, key = name.partition(".")
        changed.setdefault(section, {})[key] = value
    sections = {
        name: getattr(config, name).model_copy(update=values) for name, values in changed.items()
    }
    return config.model_copy(update=sections)


def setting_of(config: Config) -> dict[str, Any]:
    """Return the setting in use."""
    return {
        name: getattr(getattr(config, name.partition(".")[0]), name.partition(".")[2])
        for name in SETTINGS
    }


def past_fold(dataset: Dataset, config: Config) -> Fold:
    """Return a fold inside the past of the first tested one; its test part is validated on.

    Args:
        config: with the longest look-back, so that every setting has the same rows. With the
            shortest one the first test begins earliest, and nothing after that is used.
    Raises:
        DataMissing: too few decisions come before the first test.
    """
    settings = config.walk_forward
    shortest = min(*LOOKBACKS, config.network.lookback_bars)
    until = make_folds(dataset, shortest, settings)[0].test_from
    known_at = latest_label(dataset)
    rows = dataset.decisions(config.network.lookback_bars)
    rows = rows[(dataset.cutoff[rows] < until) & (known_at[rows] < until)]
    if not len(rows):
        raise DataMissing(
            "No decision comes before the first test, so there is nothing to tune on."
            " Take a longer span (--since) or a smaller walk_forward.test_fraction."
        )
    inner = WalkForwardSection.model_validate(
        {**settings.model_dump(), "folds": 1, "test_fraction": VALIDATED}
    )
    grid = np.unique(dataset.cutoff)
    (edge,) = fold_edges(dataset.cutoff[rows[0]], until, grid, inner)
    fold = cut_fold(0, rows, dataset.cutoff, known_at, edge)
    if len(fold.train) < settings.min_train_rows or not len(fold.stop) or not len(fold.test):
        raise DataMissing(
            f"Only {len(fold.train)} decisions before the first test are left to train on;"
            f" walk_forward.min_train_rows asks for {settings.min_train_rows}."
            " Take a longer span (--since) or a smaller walk_forward.test_fraction."
        )
    return fold


def tuning_key(ground: Ground, in_use: Config) -> str:
    """Return a hash of all that a search depends on but its number of trials."""
    return fit_key(
        dataset=ground.dataset.fingerprint(), span=ground.span, config=config_hash(in_use),
        seed=in_use.seed, arms=tuned_arms(ground), space=SETTINGS, computed_by=computed_by(),
    )  # fmt: skip


def tuned_arms(ground: Ground) -> tuple[Arm, Arm, Arm]:
    """Return the arms that share the setting: null, the one in question, and shift."""
    by_name = {arm.name: arm for arm in ground.arms}
    return by_name[NULL], real_arm(ground.arms), by_name[SHIFT]


def search(
    ground: Ground,
    in_use: Config,
    fold: Fold,
    folder: Path,
    trials: int,
    open_network: Callable[[Config], FitPredict],
    keep: Callable[[Tried], None],
    progress: Progress | None = None,
) -> list[Tried]:
    """Try settings until there are so many, those of an earlier call included; return all.

    Args:
        ground: under the longest look-back. in_use: the config whose setting comes first.
        fold: of `past_fold`. folder: keeps the search.
        open_network: returns what fits a cell under a config.
        keep: told of every trial once it is over, of earlier ones too.
    Raises:
        UsageError: the `tune` extra is not installed.
    """
    if util.find_spec("optuna") is None:
        raise UsageError("Tuning needs the 'tune' extra: pip install \"moodtape[tune]\"")
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend
    from optuna.trial import TrialState

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(folder / JOURNAL))),
        study_name="tune",
        load_if_exists=True,
    )
    for left in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(left.number, state=TrialState.FAIL)  # it was killed in the middle
    done = [Tried(t.params, t.values[0]) for t in study.get_trials(states=(TrialState.COMPLETE,))]
    for tried in done:
        keep(tried)
    first = setting_of(in_use)
    if all(dict(tried.setting) != first for tried in done):
        study.enqueue_trial(first)
    study.sampler = optuna.samplers.TPESampler(seed=child_seed(in_use.seed, "tune", len(done)))
    while len(done) < trials:
        if progress is not None:
            best = f", lowest loss {min(t.loss for t in done):.4f}" if done else ""
            progress(len(done), trials, f"tuning, trial {len(done) + 1} of {trials}{best}")
        trial = study.ask()
        setting = {name: _propose(trial, name, first[name]) for name in SETTINGS}
        loss = validation_loss(ground, fold, open_network(with_setting(in_use, setting)))
        study.tell(trial, loss)
        done.append(Tried(setting, loss))
        keep(done[-1])
    return done


def _propose(trial: Any, name: str, in_use: Any) -> Any:
    """Return one value of a setting; the one in use can always be proposed."""
    values = SETTINGS[name]
    if name in ("training.learning_rate", "network.dropout"):
        low, high = min(*values, in_use), max(*values, in_use)
        return trial.suggest_float(name, low, high, log=name.endswith("rate"))
    return trial.suggest_categorical(name, sorted({*values, in_use}))


def validation_loss(ground: Ground, fold: Fold, fit_predict: FitPredict) -> float:
    """Return the deciding loss as a share of the base rate's, mean over arms and targets.

    The span ends where the first test begins: so `shift` takes its tone from before it, too.
    """
    past = Span(ground.span.since, from_datetime64(fold.test_until))
    dataset, config = replace(ground.dataset, span=past), ground.config
    scaled = scaled_features(dataset, fold)
    room, _ = shift_room(dataset, config)
    usual = baselines(dataset, fold, fold.test)[BASE_RATE]
    shares = []
    for arm in tuned_arms(ground):
        inputs = build_inputs(dataset, scaled, arm, Draw(0, config.seed, room, fold, {}))
        forecasts = fit_predict(dataset, inputs, fold, fold.test, seed=0)
        for key in dataset.targets:
            shares.append(
                _mean_loss(dataset, fold, key, forecasts[key])
                / _mean_loss(dataset, fold, key, usual[key])
            )
    loss = float(np.mean(shares))
    return loss if np.isfinite(loss) else DIVERGED


def _mean_loss(dataset: Dataset, fold: Fold, key: str, forecast: Floats) -> float:
    target, rows = dataset.targets[key], fold.test
    known = ~np.isnan(target.y[rows])
    losses = deciding_loss(
        target.name, target.y[rows], forecast, dataset.trailing_variance[rows], target.horizon_bars
    )
    return float(losses[known].mean())


def ledger_rows(ground: Ground, in_use: Config, fold: Fold, tried: Tried) -> list[dict[str, Any]]:
    """Return what the ledger says of one trial: each question, on the span it was validated on."""
    hashed = config_hash(with_setting(in_use, tried.setting))
    return [
        {
            "config_hash": f"{ground.question.subject}-{hashed}",
            "symbol": symbol,
            "target": target.name,
            "horizon_bars": target.horizon_bars,
            "forecaster": NETWORK,
            "test_from": from_datetime64(fold.test_from),
            "test_until": from_datetime64(fold.test_until),
            "verdict": f"tuned: loss {tried.loss:.5f}",
        }
        for symbol in ground.dataset.symbols
        for target in ground.dataset.targets.values()
    ]


def as_toml(setting: Setting) -> str:
    """Return a setting as a file that `-c` reads.

    >>> print(as_toml({"training.batch_size": 64, "network.dropout": 0.25}), end="")
    [network]
    dropout = 0.25
    <BLANKLINE>
    [training]
    batch_size = 64
    """
    sections: dict[str, list[str]] = {}
    for name, value in sorted(setting.items()):
        section, _, key = name.partition(".")
        sections.setdefault(section, []).append(f"{key} = {value!r}\n")
    return "\n".join(f"[{name}]\n{''.join(lines)}" for name, lines in sections.items())
