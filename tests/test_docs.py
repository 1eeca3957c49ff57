"""The documents say what is so: links lead somewhere, targets exist, examples run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from moodtape.forecaster.features.base import REGISTRY, compute_all

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    page
    for pattern in ("*.md", "docs/**/*.md", "labels/*.md", "moodtape/**/*.md")
    for page in ROOT.glob(pattern)
)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)
TARGET = re.compile(r"^([a-z-]+):.*## (.+)$", re.MULTILINE)


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def code_blocks(page: Path, language: str) -> list[str]:
    return [code for tongue, code in CODE.findall(page.read_text("utf-8")) if tongue == language]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_inside_the_repository_lead_somewhere(page: Path) -> None:
    links = [link.partition("#")[0] for link in LINK.findall(page.read_text("utf-8"))]
    local = [link for link in links if link and not link.startswith(("http:", "https:", "mailto:"))]
    assert [link for link in local if not (page.parent / link).exists()] == []


def test_the_makefile_explains_every_target_and_the_pages_name_only_those() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    explained = {target for target, _ in TARGET.findall(makefile)}
    phony = set(re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)[1].split())
    assert explained == phony
    for page in PAGES:
        named = re.findall(r"(?:`|^)make ([a-z-]+)", page.read_text("utf-8"), re.MULTILINE)
        assert set(named) <= phony, f"{name_of(page)} names a target that does not exist"


def test_decisions_are_numbered_without_a_gap_and_say_what_they_cost() -> None:
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [int(p.name[:4]) for p in pages] == list(range(1, len(pages) + 1))
    for number, page in enumerate(pages, start=1):
        text = page.read_text("utf-8")
        assert text.startswith(f"# {number}. ")
        assert all(f"**{part}" in text for part in ("Context.", "Choice.", "What it costs."))


@pytest.fixture
def registry() -> Iterator[set[str]]:
    """Give the names of the declared features; what the test declares is taken out after it."""
    before = dict(REGISTRY)
    yield set(before)
    REGISTRY.clear()
    REGISTRY.update(before)


def test_the_feature_of_the_contributing_page_works_as_written(registry: set[str]) -> None:
    (code,) = code_blocks(ROOT / "CONTRIBUTING.md", "python")
    exec(compile(code, "CONTRIBUTING.md", "exec"), {"__name__": "example"})
    (name,) = set(REGISTRY) - registry
    inputs = {"open": np.array([10.0, 12.0, 9.0]), "close": np.array([11.0, 10.0, 9.0])}
    column = compute_all([REGISTRY[name]], inputs)[:, 0]
    np.testing.assert_allclose(column, [np.nan, 12 / 11 - 1, 9 / 10 - 1])
