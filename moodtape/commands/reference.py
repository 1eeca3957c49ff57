"""Reference pages told by the code itself: every verb, every setting, every feature.

`python -m moodtape.commands.reference docs` writes them anew.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from moodtape import errors
from moodtape.commands.markdown import AGAIN, table
from moodtape.commands.reference_features import features_page
from moodtape.commands.reference_settings import settings_page

if TYPE_CHECKING:
    from typer.core import TyperCommand

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
    options_table = table(("argument or option", "meaning", "default"), rows)
    return f"\n## {path}\n\n{command.help}\n\n    {usage}\n\n{options_table}"


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
