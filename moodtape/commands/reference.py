"""Reference pages told by the code itself: every verb, every setting, every feature.

`python -m moodtape.commands.reference docs` writes them anew.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from pydantic import SecretStr

from moodtape import errors
from moodtape.config import ArmSection, Config
from moodtape.settings import ENV_PREFIX

if TYPE_CHECKING:
    from pydantic import BaseModel
    from typer.core import TyperCommand

    from moodtape.forecaster.features.base import Feature

AGAIN = "This page is made from the code: `make docs`."
COMMANDS = f"""# Commands

{AGAIN}
What to do with them stands in the [guide](guide.md).

Results go to stdout, progress and warnings to stderr. Times are ISO and UTC; spans are half-open,
`--since` in, `--until` out. `moodtape --debug VERB ...` shows the whole trace of an error.

## Exit codes

| code | meaning |
|---|---|
| 0 | Done. |
| 130 | Interrupted; nothing is half-stored. |
"""
SETTINGS = f"""# Settings

{AGAIN}
`moodtape config show` prints each one with its present value and where it was set.

Order of precedence: flag, environment, `.env`, the last `--config` file, `moodtape.toml`, default.
In the environment `training.epochs` is `{ENV_PREFIX}TRAINING__EPOCHS`; lists and tables are
written as JSON there. An unknown name is refused.
"""
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


def commands_page(root: Any) -> str:
    """Return the page of all verbs under the root of the command line."""
    codes = [f"| {code} | {meaning} |\n" for code, meaning in _exit_codes()]
    return COMMANDS + "".join(codes) + "".join(_verb(path, verb) for path, verb in verbs(root))


def verbs(group: Any, path: str = "moodtape") -> Iterator[tuple[str, TyperCommand]]:
    """Yield `(moodtape import bars, command)` for everything that can be called."""
    for name, command in group.commands.items():
        if not hasattr(command, "commands") or command.invoke_without_command:
            yield f"{path} {name}", command
        if hasattr(command, "commands"):
            yield from verbs(command, f"{path} {name}")


def _exit_codes() -> list[tuple[int, str]]:
    """Return each exit code of an error with what it stands for, told by the first that has it."""
    first: dict[int, str] = {}
    for error in vars(errors).values():
        if isinstance(error, type) and issubclass(error, errors.MoodtapeError):
            first.setdefault(error.exit_code, (inspect.getdoc(error) or "").partition("\n")[0])
    return sorted({**first, 1: "An unexpected failure."}.items())


def _verb(path: str, command: Any) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option"]
    usage = " ".join([path, *map(_argument, arguments), "[OPTIONS]"])
    rows = [(f"`{_argument(p)}`", p.help, _default(p)) for p in arguments]
    rows += [(_flags(p), p.help, _default(p)) for p in options]
    table = _table(("argument or option", "meaning", "default"), rows)
    return f"\n## {path}\n\n{command.help}\n\n    {usage}\n\n{table}"


def _argument(parameter: Any) -> str:
    name = parameter.name.upper()
    many = parameter.nargs == -1
    if many and name.endswith("S"):
        name = name[:-1]
    name = f"{name}..." if many else name
    return name if parameter.required else f"[{name}]"


def _flags(parameter: Any) -> str:
    names = ", ".join(f"`{name}`" for name in sorted(parameter.opts, key=len))
    return names if parameter.is_flag else f"{names} {parameter.metavar or _kind(parameter)}"


def _kind(parameter: Any) -> str:
    """Return what an option takes, as its help would call it."""
    annotation = parameter.type_descriptor.annotation
    (kind,) = get_args(annotation) or (annotation,)
    return {str: "TEXT", int: "NUMBER", float: "NUMBER", Path: "PATH"}[kind]


def _default(parameter: Any) -> str:
    value = parameter.default
    return "" if value in (None, False, ()) or parameter.required else f"`{value}`"


def settings_page() -> str:
    """Return the page of all settings, with default, range and meaning."""
    schema = Config.model_json_schema()
    parts = [SETTINGS]
    single: list[tuple[str, ...]] = []
    for name, field in Config.model_fields.items():
        section: Any = field.annotation
        if name == "arm":
            continue
        if hasattr(section, "model_fields"):
            rows = _settings(section, schema["$defs"][section.__name__], f"{name}.")
            head = _table(("setting", "default", "allowed", "meaning"), rows)
            parts.append(f"\n## {name}\n\n{inspect.getdoc(section)}\n\n{head}")
        else:
            single.append((f"`{name}`", *_described(field, schema["properties"][name])))
    parts.insert(1, "\n" + _table(("setting", "default", "allowed", "meaning"), single))
    rows = _settings(ArmSection, schema["$defs"]["ArmSection"], "")
    arms = _table(("key", "default", "allowed", "meaning"), rows)
    parts.append(f"\n## arm\n\n{inspect.getdoc(ArmSection)}\n\n{arms}")
    return "".join(parts)


def _settings(
    section: type[BaseModel], schema: Mapping[str, Any], prefix: str
) -> list[tuple[str, ...]]:
    return [
        (f"`{prefix}{name}`", *_described(field, schema["properties"][name]))
        for name, field in section.model_fields.items()
    ]


def _described(field: Any, schema: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return default, allowed values and meaning of one setting."""
    if field.is_required():
        default = "needed"
    else:
        value = list(field.default) if isinstance(field.default, tuple) else field.default
        value = str(value) if isinstance(value, SecretStr) else value
        default = "" if value is None else f"`{json.dumps(value, ensure_ascii=False)}`"
    return default, _allowed(schema), field.description or ""


_BOUNDS = {
    "minimum": "at least",
    "exclusiveMinimum": "above",
    "maximum": "at most",
    "exclusiveMaximum": "below",
}
_TYPES = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true, false"}


def _allowed(schema: Mapping[str, Any]) -> str:
    """Return what a JSON schema lets a value be, in words."""
    if "anyOf" in schema:
        return _allowed(next(part for part in schema["anyOf"] if part.get("type") != "null"))
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of: {_allowed(schema['items'])}"
    if schema.get("type") == "object":
        names = _allowed(schema.get("propertyNames", {"type": "string"}))
        return f"table: {names} = {_allowed(schema['additionalProperties'])}"
    bounds = [f"{words} {schema[key]:g}" for key, words in _BOUNDS.items() if key in schema]
    shape = [f"like `{schema['pattern']}`"] if "pattern" in schema else []
    return ", ".join([_TYPES[schema["type"]], *bounds, *shape])


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
        parts.append(f"\n## {group}\n\nDefined in {files}.\n\n{_table(heads, rows)}")
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


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return rows as a Markdown table."""
    cells = [[cell.replace("|", "\\|") for cell in line] for line in (heads, *rows)]
    head, *body = [f"| {' | '.join(line)} |\n" for line in cells]
    return head + "|---" * len(heads) + "|\n" + "".join(body)


def pages() -> dict[str, str]:
    """Return every reference page by the name of its file."""
    from typer.main import get_command

    from moodtape.cli import app

    return {
        "commands.md": commands_page(get_command(app)),
        "settings.md": settings_page(),
        "features.md": features_page(),
    }


def main(folder: Path) -> None:
    """Write the reference pages into a folder."""
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs"))
