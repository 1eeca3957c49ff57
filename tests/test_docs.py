"""The documents say what is so: links lead somewhere, targets exist, examples run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.exceptions import TyperException
from typer.main import get_command

from moodtape.cli import app
from moodtape.commands.reference import pages, verbs
from moodtape.commands.reference_features import declared_columns
from moodtape.config import ArmSection, Config
from moodtape.forecaster.dataset import Request
from moodtape.forecaster.features.base import REGISTRY, compute_all
from moodtape.forecaster.loading import load_dataset
from moodtape.ingest.columns import BAR_NAMES, DOCUMENT_NAMES, METRIC_NAMES
from moodtape.ingest.importer import ImportOptions, import_file
from moodtape.nlp.lexicon import LexiconScorer
from moodtape.nlp.score import score_unscored
from moodtape.settings import describe, load_settings
from moodtape.storage.db import Warehouse
from moodtape.storage.hours import HourRules

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


REFERENCE = pages()


@pytest.mark.parametrize("name", REFERENCE)
def test_reference_pages_are_those_of_the_code(name: str) -> None:
    stored = (ROOT / "docs" / name).read_text("utf-8")
    assert stored == REFERENCE[name], f"docs/{name} is not that of the code; run: make docs"


def test_every_verb_is_documented_with_all_it_takes() -> None:
    sections = dict(re.findall(r"^## (moodtape .+?)\n(.*?)(?=^## |\Z)", REFERENCE["commands.md"],
                               re.MULTILINE | re.DOTALL))  # fmt: skip
    found = dict(verbs(get_command(app)))
    assert set(sections) == set(found)
    for path, verb in found.items():
        assert verb.help, f"{path} has no help"
        for parameter in verb.params:
            assert parameter.help, f"{path}: {parameter.name} has no help"
            names = parameter.opts if parameter.param_type_name == "option" else []
            assert all(f"`{name}`" in sections[path] for name in names), f"{path} {names}"


def test_every_setting_is_documented_with_its_meaning(tmp_path: Path) -> None:
    rows = re.findall(r"^\| `([^`]+)` \|.*\| (.*?) \|$", REFERENCE["settings.md"], re.MULTILINE)
    meanings = dict(rows)
    settings = [row["name"] for row in describe(load_settings(tmp_path, environ={}))]
    assert set(settings) - {"arm"} == set(meanings) - set(ArmSection.model_fields)
    assert set(ArmSection.model_fields) <= set(meanings)
    assert [name for name, meaning in rows if not meaning] == []


def test_every_column_is_documented_with_its_definition() -> None:
    rows = re.findall(r"^\| `([^`]+)` \| (.+?) \| (\d+) \| .*\| (.+?) \|$",
                      REFERENCE["features.md"], re.MULTILINE)  # fmt: skip
    assert [name for name, *_ in rows] == [c.name for c in declared_columns(Config())]
    for name, unit, lookback, definition in rows:
        assert definition.endswith("."), f"{name} is not defined by a sentence"
        if name in REGISTRY:
            assert (unit, int(lookback)) == (REGISTRY[name].unit, REGISTRY[name].lookback)


FENCED = re.compile(r"^```[^\n]*\n(.*?)^```", re.DOTALL | re.MULTILINE)
NAMES = ("README.md", "docs/guide.md", "docs/nightly.md")
GUIDES = [page for name in NAMES if (page := ROOT / name).exists()]


def typed_lines(page: Path) -> list[str]:
    """Return the lines of code blocks that one could type: `moodtape ...` and `make ...`."""
    blocks = (block.replace("\\\n", " ") for block in FENCED.findall(page.read_text("utf-8")))
    lines = [line.strip().removeprefix("$ ") for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith(("moodtape ", "make "))]


def check_words(words: list[str]) -> None:
    """Parse a command line as the product does, without running it."""
    group: Any = get_command(app)
    context = group.make_context("moodtape", words[1:], resilient_parsing=False)
    while hasattr(group, "commands"):
        rest = [*context._protected_args, *context.args]
        if not rest:
            assert group.invoke_without_command, f"{words} lacks a verb"
            return
        name, group, rest = group.resolve_command(context, rest)
        context = group.make_context(name, rest, parent=context)


@pytest.mark.parametrize("page", GUIDES, ids=name_of)
def test_command_lines_of_the_guides_can_be_typed(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = {target for target, _ in TARGET.findall(makefile)}
    for line in typed_lines(page):
        words = shlex.split(re.split(r"\s(?:[|>]|&&|2>)", line)[0], comments=True)
        if words[0] == "make":
            assert {w for w in words[1:] if "=" not in w} <= targets, line
            continue
        try:
            check_words(words)
        except TyperException as exc:
            pytest.fail(f"{name_of(page)}: {line!r}: {exc}")


def test_a_wrong_line_would_not_pass() -> None:
    for wrong in ("moodtape ablate --symbl BTC", "moodtape ablat", "moodtape import bars",
                  "moodtape predict BTC", "moodtape ablate --horizon 0"):  # fmt: skip
        with pytest.raises(TyperException):
            check_words(shlex.split(wrong))


def test_the_column_names_of_the_guide_are_recognised() -> None:
    guide = (ROOT / "docs" / "guide.md").read_text("utf-8")
    kinds = {"bars": BAR_NAMES, "metrics": METRIC_NAMES, "documents": DOCUMENT_NAMES}
    for kind, names in kinds.items():
        (table,) = re.findall(rf"^\| {kind} \| recognised as \|\n\|.*\n((?:\|.*\n)+)", guide,
                              re.MULTILINE)  # fmt: skip
        rows = [re.findall(r"`(\w+)`", line) for line in table.splitlines()]
        for ours, *theirs in rows:
            assert set(theirs) <= {*names[ours], *names}, f"{kind}: {ours}"
            assert names[ours][0] == theirs[0], f"{kind}: {ours}"


DAY = datetime(2025, 3, 3, tzinfo=UTC)


def counted_texts(folder: Path, collected: bool) -> dict[str, int]:
    """Return texts in the last closed hour by the close of the bar, for the example's text."""
    config, now = Config(), DAY + timedelta(days=1)
    warehouse = Warehouse(folder / "w.duckdb")
    bars = [f"{DAY + timedelta(hours=h):%Y-%m-%dT%H:%MZ},1,2,1,2" for h in range(14)]
    (folder / "bars.csv").write_text("\n".join(["open_time,open,high,low,close", *bars]) + "\n")
    rows = [("08:05", "08:10", "Ethereum"), ("09:50", "10:30", "Bitcoin"),
            ("12:20", "12:40", "Ethereum")]  # fmt: skip
    if not collected:
        rows[1] = ("09:50", "", "Bitcoin")
    day = f"{DAY:%Y-%m-%d}"
    texts = [
        f"{day}T{published}Z,{day + 'T' + seen + 'Z' if seen else ''},{about} soars on record flows"
        for published, seen, about in rows
    ]
    (folder / "texts.csv").write_text("\n".join(["published_at,collected_at,title", *texts]) + "\n")
    for what, options in (
        ("bars", ImportOptions("bars", symbol="BTC", interval="1h")),
        ("texts", ImportOptions("documents", crawled=True)),
    ):
        path = folder / f"{what}.csv"
        import_file(warehouse, folder / "staging", path, options, config, what, now)
    scorer = score_unscored(warehouse, LexiconScorer(), HourRules(), "score", now).scorer
    dataset = load_dataset(warehouse, config, Request(("BTC",), now, scorer))
    count = [c.name for c in dataset.columns].index("news.count_last")
    seen = np.expm1(dataset.features[:, count])
    return {
        f"{cutoff.item():%H:%M} {decision.item():%H:%M:%S}": round(texts)
        for cutoff, decision, texts in zip(
            dataset.cutoff, dataset.decision_time, np.nan_to_num(seen, nan=-1), strict=True
        )
    }


@pytest.mark.parametrize("collected", [True, False], ids=["collected", "not stamped"])
def test_the_example_of_the_page_about_time_is_so(tmp_path: Path, collected: bool) -> None:
    page = (ROOT / "docs" / "time.md").read_text("utf-8")
    rows = re.findall(r"^\| (\d\d:\d\d) \| (\S+) \| (\d) \| (\d) \|$", page, re.MULTILINE)
    assert len(rows) == 3
    found = counted_texts(tmp_path, collected)
    for close, decision, stamped, unstamped in rows:
        expected = int(stamped if collected else unstamped)
        assert found[f"{close} {decision}"] == expected, f"the decision at {decision}"


def test_the_tests_that_the_security_page_names_exist() -> None:
    page = (ROOT / "docs" / "security.md").read_text("utf-8")
    files = {path.name: path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py")}
    assert set(re.findall(r"`(test_\w+\.py)`", page)) <= set(files)
    named = set(re.findall(r"`(test_\w+)`", page))
    assert len(named) > 15
    every = "\n".join(files.values())
    assert {name for name in named if f"def {name}(" not in every} == set()
