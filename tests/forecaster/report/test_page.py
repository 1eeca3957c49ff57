from __future__ import annotations

import copy
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from markupsafe import escape

from moodtape.forecaster.report.page import ReportSeries, render_page
from moodtape.forecaster.report.reliability import reliabilities

Run = tuple[dict[str, Any], ReportSeries]
GOLDEN = Path(__file__).parent / "golden" / "page.html"
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg onload=alert(1)>",
    "</style></title><iframe>",
    "{{ 7 * 7 }}{% raw %}",
)
TAGS = set(
    """html head meta link title style body header p b span h1 figure div svg rect line circle text
    figcaption i nav a main section h2 h3 table thead tbody tr th td details summary ul li dl dt dd
    pre code br small path footer""".split()  # noqa: SIM905
)


class Page(HTMLParser):
    """Tags, attributes, tables (cells as text) and visible text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str, str]] = []
        self.tables: list[list[list[str]]] = []
        self.text = ""
        self._cell: list[str] | None = None
        self._silent = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self._silent = tag == "style"
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self._cell = []

    def handle_endtag(self, tag: str) -> None:
        self._silent = False
        if tag in ("td", "th") and self._cell is not None:
            self.tables[-1][-1].append(" ".join("".join(self._cell).split()))
            self._cell = None

    def handle_data(self, data: str) -> None:
        if self._silent:
            return
        self.text += data
        if self._cell is not None:
            self._cell.append(data)

    def table(self, *headings: str) -> list[dict[str, str]]:
        """Return the rows of the one table with these headings; a repeated one gets a `'`."""
        [found] = [t for t in self.tables if t and set(headings) <= set(t[0])]
        names: list[str] = []
        for name in found[0]:
            while name in names:
                name += "'"
            names.append(name)
        return [dict(zip(names, row, strict=True)) for row in found[1:]]


def share(text: str) -> float:
    """Return the share that a cell in percent says."""
    return float(text.replace("−", "-").replace(",", "").removesuffix("%").strip()) / 100


def shares(text: str) -> list[float]:
    return [share(part) for part in re.findall(r"[+−]?[\d.]+", text)]


def test_the_page_of_a_small_run_is_as_reviewed(small: Run) -> None:
    """Refresh with REFRESH_GOLDEN=1 pytest tests/forecaster/report and read the difference."""
    html = render_page(*small)
    if os.environ.get("REFRESH_GOLDEN"):
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(html, encoding="utf-8")
    assert html == GOLDEN.read_text(encoding="utf-8"), (
        f"the page differs from {GOLDEN.name}; if it should, refresh it (see the docstring)"
    )


def test_the_same_run_gives_the_same_bytes(large: Callable[..., Run]) -> None:
    assert render_page(*large(["BTC", "ETH"])) == render_page(*large(["BTC", "ETH"]))


def timed(value: Any) -> Any:
    """Return a tree with its ISO times as datetimes, as a run has them before it is JSON."""
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\dT.*", value):
        return datetime.fromisoformat(value)
    if isinstance(value, Mapping):
        return {k: timed(v) for k, v in value.items()}
    return [timed(item) for item in value] if isinstance(value, list) else value


def test_times_may_be_texts_or_datetimes(small: Run) -> None:
    results, series = small
    assert isinstance(timed(results)["folds"][0]["test_from"], datetime)
    assert render_page(timed(results), series) == render_page(results, series)


def test_rendering_leaves_its_input_alone(small: Run) -> None:
    before = copy.deepcopy(small[0])
    render_page(*small)
    assert small[0] == before


def poisoned(value: Any, poison: str, key: str = "") -> Any:
    """Return a tree with a poison put behind every text, keys of free names included."""
    if isinstance(value, str):
        return value if key in ("subject", "treatment", "verdict", "target") else value + poison
    if isinstance(value, Mapping):
        free = key in ("kinds", "packages")
        return {k + poison if free else k: poisoned(v, poison, k) for k, v in value.items()}
    if isinstance(value, list):
        return [poisoned(item, poison, key) for item in value]
    return value


@pytest.mark.parametrize("poison", HOSTILE)
def test_hostile_texts_come_out_as_text(small: Run, poison: str) -> None:
    results, series = small
    results["warnings"], results["metrics"] = ["careful"], ["active addresses"]
    results["kinds"] = {"event": 3}
    results = poisoned(results, poison)
    for answer in results["results"]:
        answer.update(verdict="cannot tell" + poison, target="direction" + poison)
    results["question"]["subject"] = "sentiment" + poison
    results["arms"][1]["treatment"] = "as_is" + poison
    frames = {
        name: frame.assign(
            **{
                column: frame[column] + poison
                for column in ("symbol", "stream", "target", "forecaster")
                if column in frame
            }
        )
        for name, frame in vars(series).items()
    }
    html = render_page(results, ReportSeries(**frames))
    page = Page(html)
    assert page.tags <= TAGS, f"a text became a tag: {page.tags - TAGS}"
    assert not [a for a in page.attributes if a[1].startswith("on") or a[1] in ("src", "srcset")]
    assert "<" not in poison or poison not in html, "a text stands unescaped"
    assert str(escape(poison)) in html, "a text was run as a template, or is not there"
    assert page.text.count(poison) > 60
    allowed = {"#", "data:,"}
    links = [value for _, name, value in page.attributes if name in ("href", "action", "data")]
    assert all(link[:1] in allowed or link in allowed for link in links), links


def test_nothing_points_outside(large: Callable[..., Run]) -> None:
    html = render_page(*large(["BTC"]))
    assert not re.search(r"https?:|//[a-z]|url\(|@import|<script", html)
    assert "default-src 'none'" in html


def test_numbers_of_the_answers_are_those_of_the_run(large: Callable[..., Run]) -> None:
    results, series = large(["BTC", "ETH"], horizons=(1, 24))
    page = Page(render_page(results, series))
    rows = page.table("verdict", "p adjusted")
    assert len(rows) == len(results["results"]) == 24
    for row, a in zip(rows, results["results"], strict=True):
        assert row["question"] == f"{a['symbol']} {a['target']}, {a['horizon_bars']} h"
        assert row["verdict"].endswith(a["verdict"])
        assert ("decides" in row["forecaster"]) == a["decides"]
        near = {"abs": 0.000051}
        assert share(row["effect"]) == pytest.approx(a["effect"], **near)
        assert shares(row["95 % interval"]) == pytest.approx(a["interval"], **near)
        assert share(row["over shift"]) == pytest.approx(a["effect_shift"], **near)
        assert shares(row["95 % interval'"]) == pytest.approx(a["interval_shift"], **near)
        assert share(row["over echo"]) == pytest.approx(a["effect_echo"], **near)
        assert shares(row["95 % interval''"]) == pytest.approx(a["interval_echo"], **near)
        assert share(row["margin"]) == a["margin"]
        assert float(row["p null"]) == pytest.approx(a["p"]["null"], abs=0.0005)
        assert float(row["p shift"]) == pytest.approx(a["p"]["shift"], abs=0.0005)
        assert float(row["p echo"]) == pytest.approx(a["p"]["echo"], abs=0.0005)
        assert row["smallest detectable"] == "0.60 %"
        assert float(row["p adjusted"]) == pytest.approx(a["p_adjusted"], abs=0.0005)
        assert int(row["forecasts"].replace(",", "")) == a["n"]
        assert row["blocks"] == "49"


def test_numbers_of_arms_folds_and_seeds_are_those_of_the_run(large: Callable[..., Run]) -> None:
    results, series = large(["BTC"], horizons=(1, 24))
    page = Page(render_page(results, series))
    near = {"abs": 0.000051, "rel": 2e-3}
    for row, a in zip(page.table("persistence"), results["results"], strict=True):
        null = a["losses"]["null"]
        assert float(row["null’s loss"]) == pytest.approx(null, rel=1e-3)
        for name in ("price", "price+sentiment", "shift", "persistence", "base rate"):
            assert share(row[name]) == pytest.approx(a["losses"][name] / null - 1, **near), name
        assert (row["reversal"] == "–") == (a["target"] == "volatility")
    for row, a in zip(page.table("seeds"), results["results"], strict=True):
        for fold in a["fold_effects"]:
            assert share(row[f"fold {fold['fold']}"]) == pytest.approx(fold["effect"], **near)
        assert shares(row["seeds"]) == pytest.approx(a["seed_effects"], **near)
    for row, fold in zip(page.table("to stop"), results["folds"], strict=True):
        assert [row["fold"], row["to test"]] == [str(fold["number"]), str(fold["test"])]
        assert row["tested from"] == fold["test_from"][:16]


def test_a_broken_promise_of_coverage_is_underlined(small: Run) -> None:
    results, series = small
    page = render_page(results, series)
    assert '<td class="n">91.2\xa0%</td>' in page
    assert '<td class="n beaten">56.1\xa0%</td>' in page, "50 % lies below 52.3 to 59.8"
    picture = reliabilities(results["calibration"], "1h")[0]
    assert picture.axis.low < 41 < 60 < picture.axis.high
    assert picture.raw[1] == (picture.axis.at(50.0), picture.axis.at(49.0))


def test_groups_that_count_are_bold(small: Run) -> None:
    page = render_page(*small)
    [row] = Page(page).table("price", "sentiment")
    assert (row["price"], row["sentiment"]) == ("+1.21 %", "+0.04 %")
    assert page.count('<td class="n best">+1.21') == 1
    assert '<td class="n">+0.04' in page, "its interval holds zero"


def test_the_clock_curve_stands_beside_the_word(small: Run) -> None:
    page = Page(render_page(*small))
    [row] = page.table("as published", "look-ahead is worth")
    assert row["forecaster"] == "linear"
    assert row["as published"] == "+2.14 %[+1.74, +2.54] %"
    assert row["as known"].startswith("+0.12 %")
    assert row["1 h later"].startswith("+0.09 %")
    assert row["24 h later"].startswith("−0.02 %")
    assert row["look-ahead is worth"] == "+2.02 %[+1.74, +2.34] %"
    del small[0]["clocks"]
    assert "What hangs on the clock" not in render_page(*small), "runs of before have none"


def test_every_deviation_from_the_plan_is_told(small: Run) -> None:
    text = " ".join(Page(render_page(*small)).text.split())
    assert "Deviation from the plan. The number of looks at these data: 1 was planned" in text
    assert "written before any test row was read; 1 deviation from it, among the caveats" in text
    small[0]["deviations"] = []
    text = " ".join(Page(render_page(*small)).text.split())
    assert "written before any test row was read; kept" in text
    assert "Deviation" not in text


def test_the_hold_out_is_told(small: Run) -> None:
    page = Page(render_page(*small))
    [row] = page.table("upper bound")
    assert (row["effect"], row["upper bound"]) == ("+0.08 %", "+0.66 %")
    small[0]["holdout"]["results"] = []
    html = render_page(*small)
    assert "On the hold-out" not in html
    assert "was held out" in html
    del small[0]["holdout"]
    assert "held out" not in render_page(*small)


def test_what_comes_first_is_told_both_ways(small: Run) -> None:
    page = Page(render_page(*small))
    [row] = page.table("texts first: p adjusted")
    assert row["texts"] == "BTC news, tone"
    assert (row["price"], row["bars"]) == ("return", "520")
    assert (row["F"], row["F'"]) == ("0.8100", "4.020")
    [timing] = page.table("bar before")
    assert timing["bar before"] == "0.1120"
    small[0]["lead_lag"] = {"sentence": None, "rows": []}
    small[0]["timing"] = []
    assert "What comes first" not in render_page(*small)
    del small[0]["lead_lag"], small[0]["timing"]
    assert "What comes first" not in render_page(*small)


def test_further_tests_are_told_and_decide_nothing(small: Run) -> None:
    page = Page(render_page(*small))
    [pair] = page.table("Clark–West")
    assert (pair["Giacomini–White"], pair["Clark–West"], pair["p''"]) == ("1.310", "–", "0.330")
    [table] = page.table("overfitting")
    assert (table["lowest loss"], table["overfitting"]) == ("reversal", "38 %")
    assert table["cannot be told from the best"] == "persistence, reversal of 3"
    del small[0]["further"]
    assert "Further tests" not in render_page(*small)


def test_each_month_has_its_effect(small: Run) -> None:
    [row] = Page(render_page(*small)).table("2025-04", "2025-05")
    assert (row["2025-04"], row["2025-05"]) == ("−0.21 %", "+0.43 %")
    del small[0]["months"][0]
    assert "Month by month" not in render_page(*small), "one month is the whole"


def test_a_run_made_before_outputs_were_calibrated_keeps_its_page(small: Run) -> None:
    results, series = small
    new = ("calibration", "importance")
    page = render_page({k: v for k, v in results.items() if k not in new}, series)
    for name in new:
        assert f'id="{name}"' not in page
        assert f"#{name}" not in page


def test_the_page_says_whether_the_forecaster_is_worth_its_price(small: Run) -> None:
    results, series = small
    pair = {
        "symbol": "BTC", "target": "direction", "horizon_bars": 1, "forecaster": "network",
        "rival": "boosting", "fitted": True, "gain": -0.0012, "interval": [-0.0035, 0.0011],
        "n": 1234,
    }  # fmt: skip
    blind = {**pair, "rival": "ridge", "fitted": False, "interval": [None, None]}
    told = "The network does not beat boosting at the direction of BTC 1h ahead."
    results["rivals"] = {"sentences": [told], "rows": [pair, blind]}
    page = Page(render_page(results, series))
    assert told in page.text
    rows = page.table("question", "forecaster", "rival", "gain over it", "95 % interval")
    assert [row["rival"] for row in rows] == ["boosting, with sentiment", "ridge"]
    assert rows[0]["gain over it"].startswith("−0.12")
    assert rows[1]["95 % interval"] == "–"
    del results["rivals"]
    assert told not in Page(render_page(results, series)).text, "a run made before has none"


def test_the_first_screen_says_the_verdict_before_all_else(small: Run) -> None:
    text = Page(render_page(*small)).text
    first = text[text.index("Moodtape", text.index("– Moodtape") + 10) :]
    order = ["Cannot tell whether sentiment helps", "+0.12", "[−0.35, +0.58]", "Answers"]
    places = [first.index(words) for words in order]
    assert places == sorted(places)
    assert places[2] < 400


def without_numbers(value: Any, gone: float | None) -> Any:
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, float):
        return gone
    if isinstance(value, Mapping):
        return {k: without_numbers(v, gone) for k, v in value.items()}
    if isinstance(value, list):
        return [without_numbers(item, gone) for item in value]
    return value


@pytest.mark.parametrize("gone", [None, float("nan")])
def test_missing_numbers_are_dashes(small: Run, gone: float | None) -> None:
    results, series = small
    results = without_numbers(results, gone)
    results["coverage"][0].update(collection=None, first=None, last=None, state=None)
    results["results"][0]["dm"] = None
    results["question"].update(scorer=None, preset=None)
    page = Page(render_page(results, series))
    assert not re.search(r"\b(nan|None|inf)\b", page.text)
    [answer] = page.table("verdict", "p adjusted")
    for name in ("effect", "95 % interval", "p null", "p adjusted", "margin", "blocks", "DM"):
        assert answer[name] == "–", name
    [losses] = page.table("persistence")
    assert losses["persistence"] == losses["null’s loss"] == "–"
    [texts] = page.table("back-filled")
    assert texts["back-filled"] == texts["collection"] == texts["first"] == "–"


def test_eight_symbols_with_nine_questions_each_stay_in_order(large: Callable[..., Run]) -> None:
    symbols = ["BTC", "ETH", "SOL", "XRP", "DOGE", "ADA", "LINK", "AVAX"]
    html = render_page(*large(symbols, horizons=(1, 6, 24), days=30))
    page = Page(html)
    assert "Of 72 questions on 8 symbols" in page.text
    assert len(page.table("verdict", "p adjusted")) == 144
    overview = page.table("symbol")
    assert [row["symbol"] for row in overview] == symbols
    assert len(overview[0]) == 10
    assert html.count('class="small-panel') == 144
    assert len(html) < 2_500_000, "a page is for reading, not for storing series"


def test_of_ninety_assets_a_dozen_are_drawn_those_with_an_answer_first(
    large: Callable[..., Run],
) -> None:
    symbols = [f"S{number:02d}" for number in range(90)]
    results, series = large(symbols, targets=("return",), days=30)
    for answer in results["results"]:
        helps = answer["symbol"] == "S77" and answer["decides"]
        answer["verdict"] = "helps" if helps else "cannot tell"
    html = render_page(results, series)
    page = Page(html)
    assert page.text.count("12 of 90 assets are drawn, those with an answer first") == 2
    drawn = [symbol for symbol in symbols if html.count(f"<summary>{symbol}</summary>") == 2]
    assert drawn == [*symbols[:11], "S77"]
    assert len(page.table("verdict", "p adjusted")) == 180, "words are told of all"
    assert len(html) < 2_500_000


def test_what_was_planted_and_found_is_told(small: Run) -> None:
    results, series = small
    page = Page(render_page(results, series))
    [row] = page.table("planted", "found")
    assert share(row["gain over null"]) == pytest.approx(0.0031)
    assert row["found"] == "yes"
    assert "0.60 %: 16 of 17" in " ".join(row.values())
    results["results"][0]["detectable"], looked = None, results["results"][0]["detectable"]
    [row] = Page(render_page(results, series)).table("planted", "found")
    assert list(row.values())[-1] == "–", "nobody looked"
    results["results"][0].update(minimum_detectable_effect=None, detectable=looked)
    results["results"][0]["detectable"].update(above=0.024)
    page = Page(render_page(results, series))
    assert page.table("verdict", "p adjusted")[0]["smallest detectable"] == "above 2.4 %"


def test_arms_that_decide_nothing_have_their_gain_and_interval(small: Run) -> None:
    results, series = small
    assert "Where it comes from" not in render_page(results, series)
    gain = {"effect": 0.0123, "interval": [-0.004, 0.0286]}
    results["results"][0]["beside"] = {"counts <b>": gain}
    [row] = Page(render_page(results, series)).table("arm", "gain over null")
    assert row["arm"] == "counts <b>"
    assert share(row["gain over null"]) == pytest.approx(0.0123)


def test_the_first_screen_shows_the_gain_over_every_placebo(small: Run) -> None:
    results, series = small
    first = Page(render_page(results, series)).text.partition("Answers")[0]
    assert "over shift [−0.41, +0.45] %, over echo [−0.28, +0.46] %" in " ".join(first.split())
    assert "a gain of 0.60 % would have been found" in " ".join(first.split())


def test_the_first_screen_says_why_the_word_is_no_stronger_one(small: Run) -> None:
    results, series = small
    [only] = results["results"]
    only["reasons"] = ["the test span holds 8 <b>independent</b> blocks; 30 are needed"]
    only["detectable"].update(above=0.024)
    first = " ".join(Page(render_page(results, series)).text.partition("Answers")[0].split())
    assert "8 <b>independent</b> blocks; 30 are needed; not even a gain of 2.4 % would" in first


def test_a_run_from_before_echo_and_planted_still_has_its_page(small: Run) -> None:
    results, series = small
    [only] = results["results"]
    for name in ("effect_echo", "interval_echo", "detectable", "planted", "best_days_share"):
        del only[name]
    only.update(minimum_detectable_effect=None, p={"null": 0.3, "shift": 0.4, "echo": None})
    for name in ("echo", "planted"):
        del only["losses"][name]
    results["arms"] = [a for a in results["arms"] if a["name"] not in ("echo", "planted")]
    page = Page(render_page(results, series))
    [row] = page.table("verdict", "p adjusted")
    assert row["over echo"] == row["p echo"] == row["smallest detectable"] == "–"
    assert "over echo" not in page.text.partition("Answers")[0]


def test_metrics_under_test_are_called_so(small: Run) -> None:
    results, series = small
    results["question"].update(subject="onchain", scorer=None)
    results.update(calibration=[], importance=[])
    results["arms"] = [
        {"name": "price", "groups": ["price"], "treatment": "none", "columns": 31},
        {"name": "full", "groups": ["price", "onchain"], "treatment": "as_is", "columns": 40},
    ]
    results["results"][0]["sentence"] = "cannot tell whether on-chain metrics help"
    losses = results["results"][0]["losses"]
    losses["full"] = losses.pop("price+sentiment")
    results.update(coverage=[], texts_used=0, metrics=["active addresses", "fees"], caveats=[])
    page = Page(render_page(results, replace(series, tone=series.tone[:0])))
    assert "on-chain metrics helps" not in page.text
    assert "on-chain metrics help →" in page.text
    assert "sentiment" not in page.text.lower()
    assert "active addresses, fees" in page.text
    [row] = page.table("persistence")
    assert share(row["full"]) == pytest.approx(-0.0012)


def test_warnings_and_a_red_audit_are_on_the_first_screen(small: Run) -> None:
    results, series = small
    results["warnings"] = ["3 rows went to quarantine"]
    results["audit"]["clean"] = False
    text = Page(render_page(results, series)).text
    assert text.index("The audit found look-ahead") < text.index("The word follows")
    assert text.index("1 warning:") < text.index("The word follows")
    assert text.index("3 rows went to quarantine") > text.index("Provenance")


def test_a_run_without_answers_is_still_a_page(small: Run) -> None:
    results, series = small
    results.update(results=[], folds=[], coverage=[], caveats=[], baselines=[], arms=[])
    empty = ReportSeries(*(frame[:0] for frame in vars(series).values()))
    text = Page(render_page(results, empty)).text
    assert "No question was answered." in text
    assert "No series was kept for this run." in text


def test_importing_the_room_loads_nothing_heavy() -> None:
    code = (
        "import sys, moodtape.forecaster.report.page\n"
        "heavy = {'pandas', 'matplotlib', 'jinja2', 'keras', 'tensorflow'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
