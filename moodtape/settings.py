"""Config layers become one validated tree, and each value keeps its origin.

Precedence: flag > `MOODTAPE__SECTION__KEY` > `.env` > later file > earlier file > default.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, SecretStr, ValidationError

from moodtape.config import Config
from moodtape.errors import ConfigError, did_you_mean

PROJECT_FILE = "moodtape.toml"
ENV_PREFIX = "MOODTAPE__"


@dataclass(frozen=True)
class Layer:
    """One place that settings come from."""

    origin: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Settings:
    """The tree that a command runs with, where it lives and where each value came from."""

    config: Config
    folder: Path
    origins: Mapping[str, str] = field(default_factory=dict)

    @property
    def warehouse(self) -> Path:
        """Path of the DuckDB file."""
        return self.folder / self.config.project.warehouse

    @property
    def runs(self) -> Path:
        """Folder of run folders."""
        return self.folder / self.config.project.runs

    @property
    def staging(self) -> Path:
        """Folder for files that live as long as one command."""
        return self.folder / self.config.project.raw / "staging"

    @property
    def answers(self) -> Path:
        """Folder of sources' answers as they came."""
        return self.folder / self.config.project.raw / "answers"


def bundled_config(name: str) -> str:
    """Return the text of a file in `configs/`, from the wheel or from a checkout."""
    inside = resources.files("moodtape") / "configs" / name
    if inside.is_file():
        return inside.read_text(encoding="utf-8")
    return (Path(__file__).parent.parent / "configs" / name).read_text(encoding="utf-8")


def find_project(start: Path) -> Path | None:
    """Return the nearest folder from `start` upward that holds `moodtape.toml`."""
    start = start.resolve()
    for folder in (start, *start.parents):
        if (folder / PROJECT_FILE).is_file():
            return folder
    return None


def load_settings(
    folder: Path,
    files: Sequence[Path] = (),
    overrides: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Read every layer for the project in `folder` and return the validated settings.

    Args:
        folder: the project; its `moodtape.toml` and `.env` are read when present.
        files: further TOML files, later wins.
        overrides: values from flags, as dotted names.
        environ: the environment; the process's own by default.
    Raises:
        ConfigError: a file cannot be read, a name is unknown or a value out of range.
    """
    project_file = folder / PROJECT_FILE
    paths = [project_file] if project_file.is_file() else []
    layers = [_file_layer(path) for path in (*paths, *files)]
    layers += _environment_layers(folder / ".env", os.environ if environ is None else environ)
    flags = _nest(overrides or {})
    _check_names(flags, Config, "flag", "")
    layers.append(Layer("flag", flags))
    merged, origins = _merge(layers)
    try:
        config = Config.model_validate(merged)
    except ValidationError as exc:
        raise ConfigError(_explain(exc, origins)) from exc
    return Settings(config, folder, origins)


def flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield `(dotted name, value)` for every leaf of a nested mapping."""
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            yield from flatten(value, f"{name}.")
        else:
            yield name, value


def _nest(dotted: Mapping[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for name, value in dotted.items():
        *sections, key = name.split(".")
        table = nested
        for section in sections:
            table = table.setdefault(section, {})
        table[key] = value
    return nested


def _file_layer(path: Path) -> Layer:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise ConfigError(f"{path} cannot be read: {exc.strerror}.") from exc
    except (ValueError, RecursionError) as exc:  # tomllib says too many digits or levels plainly
        raise ConfigError(f"{path} is not valid TOML: {exc}.") from exc
    _check_names(values, Config, str(path), "")
    return Layer(str(path), values)


def _environment_layers(dotenv: Path, environ: Mapping[str, str]) -> list[Layer]:
    """Return the `.env` layer, then the environment's: nested values as pydantic reads them."""
    from dotenv import dotenv_values

    layers = []
    if dotenv.is_file():
        found = {k: v for k, v in dotenv_values(dotenv).items() if v is not None}
        layers.append(_variables_layer(".env", found))
    layers.append(_variables_layer("environment", environ))
    return layers


def _variables_layer(origin: str, variables: Mapping[str, str]) -> Layer:
    from pydantic_settings import BaseSettings
    from pydantic_settings.exceptions import SettingsError
    from pydantic_settings.sources import EnvSettingsSource

    ours = {k: v for k, v in variables.items() if k.upper().startswith(ENV_PREFIX)}
    if not ours:
        return Layer(origin, {})
    names = [k[len(ENV_PREFIX) :].lower().split("__") for k in ours]
    _check_names(_nest({".".join(n): None for n in names}), Config, origin, "")
    reader = type("Reader", (BaseSettings,), {"__annotations__": _annotations()})
    source = EnvSettingsSource(reader, env_prefix=ENV_PREFIX, env_nested_delimiter="__")
    source.env_vars = {k.lower(): v for k, v in ours.items()}
    try:
        return Layer(origin, source())
    except SettingsError as exc:
        raise ConfigError(
            f"{origin}: {exc}. Lists and tables are written as JSON:"
            """ MOODTAPE__MARKET__SYMBOLS='["BTC", "ETH"]'."""
        ) from exc


def _annotations() -> dict[str, Any]:
    return {name: info.annotation for name, info in Config.model_fields.items()}


def _merge(layers: Sequence[Layer]) -> tuple[dict[str, Any], dict[str, str]]:
    merged: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for layer in layers:
        for name, value in flatten(layer.values):
            *sections, key = name.split(".")
            table = merged
            for section in sections:
                table = table.setdefault(section, {})
            table[key] = value
            origins[name] = layer.origin
    return merged, origins


def _check_names(values: Mapping[str, Any], model: type[BaseModel], where: str, at: str) -> None:
    """Refuse an unknown setting, naming the nearest valid one."""
    for key, value in values.items():
        info = model.model_fields.get(key)
        if info is None:
            elsewhere = [f"{s}.{key}" for s in _sections() if key in _section(s).model_fields]
            hint = did_you_mean(key, model.model_fields)
            if not hint and elsewhere:
                hint = f" Did you mean {elsewhere[0]}?"
            raise ConfigError(f"{where}: {at}{key} is not a setting.{hint}")
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            if not isinstance(value, Mapping):
                raise ConfigError(f"{where}: {at}{key} is a table; write [{at}{key}] above it.")
            _check_names(value, info.annotation, where, f"{at}{key}.")


def _sections() -> list[str]:
    return [
        name
        for name, info in Config.model_fields.items()
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel)
    ]


def _section(name: str) -> type[BaseModel]:
    annotation = Config.model_fields[name].annotation
    assert isinstance(annotation, type)
    assert issubclass(annotation, BaseModel)
    return annotation


def _explain(error: ValidationError, origins: Mapping[str, str]) -> str:
    """Return one line per faulty setting: where it was set, what was wrong, what came."""
    lines = []
    for item in error.errors():
        path = [str(part) for part in item["loc"]]
        name = ".".join(path)
        known = next((origins[k] for k in origins if name == k or name.startswith(f"{k}.")), "")
        message = item["msg"].removeprefix("Value error, ")
        came = "a secret" if _is_secret(path) else repr(item["input"])
        lines.append(f"{known or 'config'}: {name}: {message} (got {came}).")
    return " ".join(lines)


def _is_secret(path: Sequence[str]) -> bool:
    """Say whether a setting is shown to nobody."""
    model: Any = Config
    for part in path:
        field = getattr(model, "model_fields", {}).get(part)
        model = field.annotation if field is not None else None
    return model is SecretStr


def describe(settings: Settings) -> list[dict[str, Any]]:
    """Return every setting with value, origin and meaning, for `config show`."""
    rows = []
    for name, value in _leaves(settings.config):
        origin = settings.origins.get(name) or next(
            (o for k, o in settings.origins.items() if k.startswith(f"{name}.")), "default"
        )
        rows.append({"name": name, "value": value, "origin": origin})
    return rows


def _leaves(model: BaseModel, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key in type(model).model_fields:
        value = getattr(model, key)
        if isinstance(value, BaseModel):
            yield from _leaves(value, f"{prefix}{key}.")
        elif isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
            yield f"{prefix}{key}", [item.model_dump(mode="json") for item in value]
        else:
            yield f"{prefix}{key}", value


def choices(annotation: Any) -> tuple[Any, ...]:
    """Return the members of a `Literal`, or nothing."""
    return tuple(get_args(annotation))
