"""What the reference pages have in common."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

AGAIN = "This page is made from the code: `make docs`."


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return rows as a Markdown table."""
    cells = [[cell.replace("|", "\\|") for cell in line] for line in (heads, *rows)]
    head, *body = [f"| {' | '.join(line)} |\n" for line in cells]
    return head + "|---" * len(heads) + "|\n" + "".join(body)
