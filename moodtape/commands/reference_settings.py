"""The reference page of every setting, told by the config schema."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from moodtape.commands.markdown import AGAIN, table
from moodtape.config import ArmSection, Config
from moodtape.settings import ENV_PREFIX

if TYPE_CHECKING:
    from pydantic import BaseModel

SETTINGS = f"""# Settings

{AGAIN}
`moodtape config show` prints each one with its present value and where it was set.

Order of precedence: flag, environment, `.env`, the last `--config` file, `moodtape.toml`, default.
In the environment `training.epochs` is `{ENV_PREFIX}TRAINING__EPOCHS`; lists and tables are
written as JSON there. An unknown name is refused.
"""


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
            head = table(("setting", "default", "allowed", "meaning"), rows)
            parts.append(f"\n## {name}\n\n{inspect.getdoc(section)}\n\n{head}")
        else:
            single.append((f"`{name}`", *_described(field, schema["properties"][name])))
    parts.insert(1, "\n" + table(("setting", "default", "allowed", "meaning"), single))
    rows = _settings(ArmSection, schema["$defs"]["ArmSection"], "")
    arms = table(("key", "default", "allowed", "meaning"), rows)
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
