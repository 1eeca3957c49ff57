from __future__ import annotations

import io
import re
from datetime import UTC, datetime

import pytest

from moodtape.commands.console import Steps, bar_of, print_json, print_table, steps

FIRST = datetime(2025, 1, 2, tzinfo=UTC)


def test_a_table_is_as_wide_as_its_cells(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {"name": "bars", "rows": 12345, "share": 0.123456, "first": FIRST},
        {"name": "a longer name", "rows": 7, "share": None, "first": None},
    ]  # fmt: skip
    print_table(rows, {"name": "what", "rows": "rows", "share": "share", "first": "first"})
    assert capsys.readouterr().out == (
        "what             rows   share  first\n"
        "-------------  ------  ------  ----------------\n"
        "bars           12,345  0.1235  2025-01-02 00:00\n"
        "a longer name       7       -  -\n"
    )


def test_no_rows_print_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([], {"a": "a"})
    assert capsys.readouterr().out == ""


def test_markup_in_a_text_stays_text(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([{"a": "[red]x[/red]"}], {"a": "[b]"})
    assert "[red]x[/red]" in capsys.readouterr().out


def test_json_has_no_nan(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": float("nan")})
    assert capsys.readouterr().out == '{\n "a": null\n}\n'


def test_off_a_terminal_each_stage_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with steps(quiet=False) as told:
        told(0, 0, "reading")
        for cell in range(4):
            told(cell, 4, f"network: fold {cell // 2 + 1}, null, seed {cell % 2 + 1}")
    lines = [line.split("] ")[1] for line in capsys.readouterr().err.splitlines()]
    assert lines == [
        "reading",
        "network: fold 1 (0 of 4 done)",
        "network: fold 2 (2 of 4 done)",
    ]


def test_a_stage_tells_the_time_left_and_a_sentence_is_whole(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with steps(quiet=False) as told:
        told(0, 0, "12 fits will take about 3 min, by 2 processes.")
        told(0, 12, "network: fold 1, full, seed 1")
        told(6, 12, "network: fold 2, full, seed 1, 90 s left")
        told(7, 12, "network: fold 2, full, seed 2, 75 s left")
    lines = [line.split("] ")[1] for line in capsys.readouterr().err.splitlines()]
    assert lines == [
        "12 fits will take about 3 min, by 2 processes.",
        "network: fold 1 (0 of 12 done)",
        "network: fold 2 (6 of 12 done, 90 s left)",
    ]


def test_on_a_terminal_a_sentence_stays_and_the_time_left_is_a_column() -> None:
    from rich.console import Console

    told, out = Steps(quiet=False), io.StringIO()
    with bar_of(Console(file=out, force_terminal=True, width=120)) as bar:
        told.showing(bar)
        told(0, 0, "12 fits will take about 3 min.")
        told(6, 12, "network: fold 2, full, seed 1, 90 s left")
        bar.refresh()
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue())
    assert "12 fits will take about 3 min.\n" in shown
    assert re.search(r"network: fold 2, full, seed 1 .* 6/12 .* 90 s left", shown)


def test_an_amount_tells_rate_and_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    told = Steps(quiet=False)
    for done in range(0, 1001, 10):
        told.amount(done, 1000, "texts")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 11
    assert "texts: 500 of 1,000, " in lines[5]
    assert lines[5].endswith("s left")
    assert "/s, " in lines[5]


def test_quiet_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with steps(quiet=True) as told:
        told(0, 1, "x")
        told.amount(0, 1, "x")
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""
