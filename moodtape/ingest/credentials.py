"""Keys come from the environment or `.env` alone, and are shown to nobody."""

from __future__ import annotations

import os

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
    """Return a credential that a source can do without, where there is one."""
    from dotenv import dotenv_values

    dotenv = tools.folder / ".env"
    kept = dotenv_values(dotenv) if dotenv.is_file() else {}
    found = (os.environ.get(name) or kept.get(name) or "").strip()
    return SecretStr(found) if found else None
