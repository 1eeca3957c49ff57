"""Keys come from the environment or `.env` alone, and are shown to nobody."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import SecretStr

from moodtape.errors import ConfigError
from moodtape.ingest.base import Tools
from moodtape.ingest.raw import ReplayingDoor


def read_secret(tools: Tools, name: str, purpose: str) -> SecretStr:
    """Return a credential; kept answers are read without any.

    Raises:
        ConfigError: it is set neither in the environment nor in the project's `.env`.
    """
    if isinstance(tools.http, ReplayingDoor):
        return SecretStr("no key is needed for kept answers")
    found = find_secret(tools, name)
    if found is None:
        raise ConfigError(
            f"{purpose} needs {name}, in the environment or in {tools.folder / '.env'}."
        )
    return found


def find_secret(tools: Tools, name: str) -> SecretStr | None:
    """Return a credential that a source can do without, where there is one.

    Raises:
        ConfigError: it stands in a `.env` that others can read.
    """
    from dotenv import dotenv_values

    found = (os.environ.get(name) or "").strip()
    dotenv = tools.folder / ".env"
    if not found and dotenv.is_file():
        found = (dotenv_values(dotenv).get(name) or "").strip()
        if found:
            require_private(dotenv)
    return SecretStr(found) if found else None


def require_private(dotenv: Path) -> None:
    """Make sure that nobody else can read a `.env`.

    Raises:
        ConfigError: others can; with the command that ends it.
    """
    mode = dotenv.stat().st_mode & 0o777
    if os.name == "posix" and mode & 0o077:
        raise ConfigError(
            f"{dotenv} holds keys and can be read by others (mode {mode:04o})."
            f" Run: chmod 600 {dotenv}"
        )
