"""The page in a real browser: nothing leaves the screen, nothing complains."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from markupsafe import escape

from moodtape.forecaster.report.page import ReportSeries, render_page

Run = tuple[dict[str, Any], ReportSeries]
CHROMIUM = next(
    (
        found
        for name in ("chromium", "chromium-browser", "google-chrome")
        if (found := shutil.which(name))
    ),
    None,
)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the PATH"),
]
QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--hide-scrollbars"),
    *("--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
# A window is never narrower than 500 pixels; a frame inside it can be as narrow as a phone.
# Opens every box, then says how wide the page is, and which parts reach past the frame.
FRAME = """<!doctype html><title></title><iframe style="width:{width}px;height:900px;border:0"
srcdoc="{page}"></iframe><script>
const frame = document.querySelector("iframe");
frame.onload = () => {{
  const page = frame.contentDocument, width = frame.contentWindow.innerWidth;
  page.querySelectorAll("details").forEach(box => box.open = true);
  const out = [...page.body.querySelectorAll("*")].filter(part =>
    !part.closest(".scroll") && part.getBoundingClientRect().right > width + 1);
  document.title = `width ${{page.documentElement.scrollWidth}} of ${{width}}, out: `
    + out.slice(0, 3).map(part => part.outerHTML.slice(0, 90)).join(" ");
}};
</script>"""
CSP = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')


def browse(page: str, folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """Open a page and return what the browser printed."""
    assert CHROMIUM is not None
    path = folder / "page.html"
    path.write_text(page, encoding="utf-8")
    profile = f"--user-data-dir={folder / 'profile'}"
    command = [CHROMIUM, *QUIET, profile, *flags, path.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


def measured(page: str, width: int, folder: Path) -> str:
    """Return the title that the measuring script wrote about a copy without the policy."""
    copy, policies = CSP.subn("", page)
    assert policies == 1
    frame = FRAME.format(width=width, page=escape(copy))
    done = browse(frame, folder, "--dump-dom", "--window-size=1400,1000")
    title = re.search(r"<title>(.*?)</title>", done.stdout, re.DOTALL)
    assert title is not None, done.stderr[-2000:]
    return title[1]


def long_run(large: Callable[..., Run]) -> Run:
    """Return a run whose every text is longer than a phone is wide, without a place to break."""
    results, series = large(["BTC", "A" * 60], horizons=(1, 24), days=30)
    long = "unbreakable" * 30
    results.update(warnings=[long], caveats=[long], run=long, metrics=[long], kinds={long: 1})
    results["question"].update(scorer=long, preset=long)
    results["provenance"].update(command=long, config_hash=long, packages={long: long})
    results["coverage"][0].update(source=long, collection=long, state=long)
    results["arms"][0]["name"] = long
    for answer in results["results"]:
        answer.update(sentence=long, reasons=[long], loss=long)
    return results, series


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("kind", ["small", "long"])
def test_no_part_reaches_past_the_window(
    width: int, kind: str, small: Run, large: Callable[..., Run], tmp_path: Path
) -> None:
    run = small if kind == "small" else long_run(large)
    title = measured(render_page(*run), width, tmp_path)
    assert title == f"width {width} of {width}, out: ", title


def test_the_measure_sees_a_part_that_reaches_past(small: Run, tmp_path: Path) -> None:
    page = render_page(*small).replace("<main>", '<main><div style="width:700px">wide</div>')
    assert measured(page, 390, tmp_path).startswith("width 7")


def test_the_browser_has_nothing_to_complain_about(
    large: Callable[..., Run], tmp_path: Path
) -> None:
    page = render_page(*large(["BTC", "ETH"], days=20))
    flags = ("--enable-logging=stderr", "--dump-dom")
    done = browse(page, tmp_path, *flags)
    assert "CONSOLE" not in done.stderr, done.stderr[-2000:]
    bad = page.replace("<main>", "<main><script>alert(1)</script>")
    assert "CONSOLE" in browse(bad, tmp_path, *flags).stderr, "the policy lets a script run"
