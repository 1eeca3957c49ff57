"""The reference page of every column of the feature matrix, told by its functions."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from moodtape.commands.markdown import AGAIN, table
from moodtape.config import Config

if TYPE_CHECKING:
    from moodtape.forecaster.features.base import Feature

FEATURES = f"""# Features

{AGAIN}
Every row of the feature matrix is one decision and is computed from what was known by then
([when things count as known](time.md)).

**Missing values.** A missing value stays missing, and the share of a block's columns that are
missing is a column of its own; `features.masks = "each"` gives every column a mask instead.
`features.fill_limit_bars` carries the last value forward so many bars at most; the masks still
tell what was missing. On-chain and index values are carried as long as `features.metric_max_age_d`
says, with their age beside them. Nothing is interpolated: what lies between two known values
would be made of the later one. A window never crosses a hole in the bars.

**Scale.** `features.scaling` is `z-score`, `min-max` (from -1 to 1) or `robust` (median and
quartiles), fitted on the training rows of each fold alone, symbol by symbol. Scaled values are
cut at -5 and 5; a missing one is 0, the middle.

**Others.** In a study of several assets, `others.` columns hold means of what the other ones did
as of the same decision, an asset's own left out; `features.peers` names assets that count among
them although the study is not about them, such as `BTC` for a study of `ETH` alone.

Look-back is counted in steps before the row's own: bars, or hours for texts. The texts of a bar
are those of the hours that ended since the bar before closed: one hour of an hourly bar; of a
stock's session the evening and the night before it, and of Monday's the weekend. "Tone" marks what
the `shift` placebo moves to another time; in a study of on-chain metrics it moves their `level`
and `change`. `SOURCE` is `news`, `reddit`, `x` (texts about the
symbol) or `news_market`, `reddit_market`, `x_market` (texts about no coin in particular), as far
as there are such texts; `METRIC` is a metric and its provider, such as `txs@blocks`.
"""
OWN_FEATURES = """
## Your own

A feature is a pure function of declared inputs with a look-back. Yours live in a package of your
own, in a module such as `my_candles.py`:

```python
import numpy as np

from moodtape.forecaster.features.base import PRICE, feature
from moodtape.forecaster.features.rolling import lagged, rolling_mean


@feature(group=PRICE, inputs=["open", "close"], lookback=1, unit="share of price")
def jump_at_open(open, close):
    \"\"\"Jump from the last bar's close to this bar's open.\"\"\"
    return open / lagged(close, 1) - 1


@feature(group=PRICE, inputs=["high", "low", "close"], lookback=9, unit="share of price")
def mean_range_10(high, low, close):
    \"\"\"Mean distance of high and low over ten bars, over price.\"\"\"
    return rolling_mean(high - low, 10) / close
```

Its distribution offers the module, or one function (`my_candles:jump_at_open`), under a name:

```toml
[project.entry-points."moodtape.features"]
candles = "my_candles"
```

and `features.plugins = ["candles"]` in `moodtape.toml` makes it columns of every study. Only what
is named there is loaded. Such columns are audited like built-in ones; `moodtape train` keeps their
names with the model, and a forecast refuses to run without them.

Inputs are whole series without holes in time, NaN where a step is missing. Value `i` may use steps
`i - lookback` to `i`. `price` features may ask for `open`, `high`, `low`, `close`, `volume` and
`taker_buy_volume` of bars; `calendar` ones for `cutoff_s`, the close in seconds since 1970;
`sentiment` ones for `n`, `n_stale`, `n_repost`, `sum_tone`, `sum_tone_squared` and `collections`
of hours (`step="hour"`), or of bars, with `watched` and `usual` beside them. They are made once for
each source of texts; `polarity=True` marks one that carries tone, which placebos move in time.

Hold each one to its promises in a test of your own:

```python
from moodtape.testing import check_feature


def test_my_features():
    check_feature(jump_at_open)
    check_feature(mean_range_10)
```

It computes the feature on drawn bars and texts with holes, cuts the future off, changes it, and
cuts the past off at the look-back: not one bit may differ.
"""
MISSING = "Share of the block's columns that are missing."
UNITS = {"price": "bars", "calendar": "bars", "sentiment": "hours", "onchain": "bars"}


def features_page() -> str:
    """Return the page of all columns of the feature matrix, as the defaults make them."""
    from moodtape.forecaster.others import LABEL as OTHERS
    from moodtape.forecaster.others import RISEN, definition

    config, parts = Config(), [FEATURES]
    known = {f.name: f for f in declared_features(config)}
    columns = declared_columns(config)
    for group in dict.fromkeys(column.group for column in columns):
        rows, modules = [], set()
        for column in columns:
            if column.group != group:
                continue
            label, _, name = column.name.partition(".")
            made = known.get(column.name) or known.get(name)
            if made is None or label == OTHERS:
                longest = max(f.lookback for f in known.values() if f.group == group)
                reach = made.lookback if made else 1 if name == RISEN else longest
                told = definition(name) if label == OTHERS else MISSING
                rows.append((f"`{column.name}`", column.unit, str(reach), "", told))
                continue
            modules.add(made.compute.__module__.rpartition(".")[2])
            tone = "tone" if column.polarity else ""
            rows.append(
                (f"`{column.name}`", column.unit, str(made.lookback), tone, _definition(made))
            )
        files = ", ".join(f"`moodtape/forecaster/features/{name}.py`" for name in sorted(modules))
        heads = ("column", "unit", f"look-back, {UNITS[group]}", "tone", "definition")
        parts.append(f"\n## {group}\n\nDefined in {files}.\n\n{table(heads, rows)}")
    return "".join([*parts, OWN_FEATURES])


def _definition(feature: Feature) -> str:
    """Return the docstring of a feature's function on one line."""
    return " ".join((inspect.getdoc(feature.compute) or "").split())


def declared_features(config: Config) -> list[Feature]:
    """Return every feature that a dataset computes, for a source and a metric without a name."""
    from moodtape.clock import parse_duration
    from moodtape.forecaster.features.chosen import chosen_features
    from moodtape.forecaster.features.onchain import metric_features
    from moodtape.forecaster.features.polls import poll_features

    a_day = parse_duration("1d") / parse_duration(config.market.interval)
    chosen = chosen_features(config)
    return [
        *chosen.price,
        *chosen.calendar,
        *chosen.texts,
        *poll_features(),
        *metric_features("METRIC", a_day, config.features.metric_max_age_d),
    ]


def declared_columns(config: Config) -> Sequence[Any]:
    """Return the columns that a dataset has with one source of texts and one metric."""
    from moodtape.calendars import get_calendar
    from moodtape.clock import EPOCH, parse_duration
    from moodtape.forecaster.rows import RowMaker
    from moodtape.records import Span

    maker = RowMaker(
        config, get_calendar("24/7"), parse_duration(config.market.interval), Span(EPOCH, EPOCH),
        timedelta(0), ("SOURCE", "SOURCE_polls"), ("METRIC",), others=True,
    )  # fmt: skip
    return maker.columns()
