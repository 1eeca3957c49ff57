from __future__ import annotations

from typing import Any

import pytest

from moodtape.commands.explained import print_explanation


def item(**headline: Any) -> dict[str, Any]:
    text = {
        "title": "Bitcoin soars", "url": "https://news.example/1", "source": "news",
        "outlet": "example", "about": "BTC", "known_at": "2024-01-31T22:10:00+00:00",
        "kind": None, "tone": 0.5, **headline,
    }  # fmt: skip
    hour = {
        "hour": "2024-01-31T22:00:00+00:00", "texts": 1, "tone": 0.5,
        "added": {"p_up": 0.012, "mean": None, "volatility": -0.0003}, "headlines": [text],
    }  # fmt: skip
    without = {"p_up": 0.5, "mean": None, "volatility": 0.004}
    return {
        "p_up": 0.51, "mean": None, "volatility": 0.0041,
        "explanation": {"gate": 0.4, "without_texts": without, "hours": [hour]},
    }  # fmt: skip


def test_it_reads_from_the_whole_to_the_hour_to_the_text(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_explanation(item())
    assert capsys.readouterr().out.splitlines() == [
        "  all texts together added +1.00 points to P(up), +0.01 % to volatility",
        "  2024-01-31 22:00 1 text, tone +0.50, added +1.20 points to P(up), -0.03 % to volatility",
        "    +0.50 example: Bitcoin soars <https://news.example/1>",
    ]


@pytest.mark.parametrize("hostile", ["\x1b[2J gone", "a\rb", "\u202emoor", "x\x9b31m"])
def test_a_title_cannot_drive_the_terminal(
    capsys: pytest.CaptureFixture[str], hostile: str
) -> None:
    print_explanation(item(title=hostile, outlet=hostile))
    out = capsys.readouterr().out
    assert not set(out) & set("\x1b\r\u202e\x9b")
    assert len(out.splitlines()) == 3


def test_a_forgotten_text_is_named_as_such(capsys: pytest.CaptureFixture[str]) -> None:
    print_explanation(item(title=None, url=None, outlet=None))
    assert "    +0.50 news: (a text that was forgotten)\n" in capsys.readouterr().out


def test_silence_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    nothing = {"gate": None, "without_texts": None, "hours": []}
    print_explanation({**item(), "explanation": nothing})
    assert capsys.readouterr().out == "  no text counted in the last two days\n"
