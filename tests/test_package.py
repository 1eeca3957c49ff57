"""What a stranger can rely on: the version, the types, the names, what the wheel carries."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata, resources
from pathlib import Path

import pytest

import moodtape
from moodtape import errors
from moodtape.settings import bundled_config

ROOT = Path(__file__).parent.parent


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_installed_version_is_the_one_in_the_package() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", moodtape.__version__)
    assert metadata.version("moodtape") == moodtape.__version__, "run make setup again"


def test_the_package_says_that_it_is_typed() -> None:
    assert (resources.files("moodtape") / "py.typed").is_file()


@pytest.mark.parametrize(
    "name",
    [
        *("configs/ablation.toml", "ingest/data/aliases.toml", "ingest/data/providers.toml"),
        *("nlp/data/lexicon.tsv", "storage/sql/migrations/0001_ledger.sql"),
        *("storage/sql/queries/hourly_sentiment.sql", "sample/LICENCES.md"),
    ],
)
def test_data_files_lie_where_the_code_looks(name: str) -> None:
    if name.startswith("configs/"):
        assert bundled_config(name.removeprefix("configs/"))
        return
    assert (resources.files("moodtape") / name).is_file()


def test_the_wheel_takes_the_configs_along() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]
    assert build["build"]["targets"]["wheel"]["force-include"] == {"configs": "moodtape/configs"}


def test_constraints_pin_every_dependency_inside_its_range() -> None:
    from packaging.requirements import Requirement

    extras = project()["optional-dependencies"]
    wanted = [Requirement(line) for line in (*project()["dependencies"], *extras["dev"])]
    for python in ("3.11", "3.12"):
        lines = (ROOT / f"constraints-{python}.txt").read_text(encoding="utf-8").splitlines()
        pins = dict(line.split("==") for line in lines if not line.startswith("#"))
        assert all(re.fullmatch(r"[0-9][0-9a-z.]*", version) for version in pins.values())
        pins = {normal(name): version for name, version in pins.items()}
        for requirement in wanted:
            version = pins.get(normal(requirement.name))
            assert version is not None, f"constraints-{python}.txt lacks {requirement.name}"
            assert requirement.specifier.contains(version), f"{requirement} is pinned to {version}"
        assert "torch" not in pins, "the CPU and GPU builds of torch differ: leave it to the user"


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


EXIT_CODES = {
    "MoodtapeError": 1,
    "InsufficientData": 1,
    "UsageError": 2,
    "ConfigError": 2,
    "UnreadableFile": 2,
    "DataMissing": 3,
    "DataStale": 3,
    "GateFailed": 4,
    "SourceFailed": 5,
    "WarehouseLocked": 6,
    "PlugInBroken": 1,
    "CouldNotAsk": 5,
    "Refused": 5,
    "CouldNotRead": 5,
}


def test_every_error_ends_with_the_exit_code_that_scripts_rely_on() -> None:
    kinds = {
        name: value
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.MoodtapeError)
    }
    assert {name: kinds[name].exit_code for name in EXIT_CODES} == EXIT_CODES
    unlisted = {name: kinds[name] for name in kinds if name not in EXIT_CODES}
    for name, kind in unlisted.items():
        assert kind.exit_code == kind.__mro__[1].exit_code, f"{name} leaves its family's exit code"
