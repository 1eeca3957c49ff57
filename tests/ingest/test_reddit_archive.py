"""Archives of Reddit: `.zst` files with a JSON object per line, as the public dumps write them."""

from __future__ import annotations

import json
from typing import Any

import pytest
import zstandard

from moodtape.errors import UnreadableFile

WRITTEN, RETRIEVED = 1_748_744_400, 1_748_748_000.5  # 2025-06-01 02:20 and 03:20:00.5 UTC


def submission(number: int, **more: Any) -> dict[str, Any]:
    return {
        "id": f"1l{number}", "name": f"t3_1l{number}", "subreddit": "Bitcoin",
        "subreddit_id": "t5_2s3qj", "author": "ann", "author_fullname": "t2_x",
        "title": f"Bitcoin falls {number}", "selftext": "I sold", "created_utc": WRITTEN,
        "retrieved_on": RETRIEVED, "score": 12, "num_comments": 3, "upvote_ratio": 0.9,
        "url": "https://example.org/", "permalink": f"/r/Bitcoin/comments/1l{number}/slug/",
        "edited": False, "is_self": True, "over_18": False, "domain": "self.Bitcoin",
        "link_flair_text": None, "media": None, "gildings": {}, "all_awardings": [],
    } | more  # fmt: skip


def comment(number: int, **more: Any) -> dict[str, Any]:
    return {
        "id": f"mv{number}", "author": "bob", "body": "to the moon", "subreddit": "Bitcoin",
        "created_utc": str(WRITTEN), "retrieved_on": RETRIEVED, "score": 4, "parent_id": "t3_1l1",
        "link_id": "t3_1l1", "controversiality": 0, "edited": False, "gildings": {},
    } | more  # fmt: skip


def packed(*rows: dict[str, Any]) -> bytes:
    return zstandard.compress("\n".join(json.dumps(row) for row in rows).encode() + b"\n")


SHOWN = "SELECT document_id, form, title, body, outlet, known_at, assumed, backfilled FROM document"


def test_submissions_are_known_when_they_were_retrieved(bring: Any) -> None:
    dump = packed(submission(1), submission(2, retrieved_on=None), submission(3, selftext=""))
    assert bring("documents", "RS_2025-06.zst", dump, source="reddit").counts.new == 3
    assert bring.texts(f"{SHOWN} ORDER BY 1") == [
        ("1l1", "post", "Bitcoin falls 1", "I sold", "Bitcoin",
         "2025-06-01 03:20:00.500000+00:00", "False", "True"),
        ("1l2", "post", "Bitcoin falls 2", "I sold", "Bitcoin",
         "2025-06-01 02:35:00+00:00", "True", "True"),
        ("1l3", "post", "Bitcoin falls 3", None, "Bitcoin",
         "2025-06-01 03:20:00.500000+00:00", "False", "True"),
    ]  # fmt: skip


def test_comments_have_a_body_and_no_title(bring: Any) -> None:
    dump = packed(comment(1), comment(2, created_utc=WRITTEN))
    assert bring("documents", "RC_2025-06.zst", dump, source="reddit").counts.new == 2
    assert bring.texts(f"{SHOWN} ORDER BY 1")[0] == (
        "mv1", "comment", None, "to the moon", "Bitcoin", "2025-06-01 03:20:00.500000+00:00",
        "False", "True",
    )  # fmt: skip


@pytest.mark.parametrize("mark", ["[removed]", "[deleted]"])
def test_what_was_taken_down_is_no_text(mark: str, bring: Any) -> None:
    dump = packed(comment(1, body=mark), comment(2))
    result = bring("documents", "RC_2025-06.zst", dump, source="reddit")
    assert (result.counts.new, dict(result.counts.reasons)) == (
        1, {"no text, or only the mark that it was deleted": 1}
    )  # fmt: skip


def test_authors_that_are_gone_are_not_one_author(bring: Any) -> None:
    dump = packed(comment(1, author="[deleted]"), comment(2))
    bring("documents", "RC_2025-06.zst", dump, source="reddit")
    (gone,), (there,) = bring.rows("SELECT author_hash FROM document ORDER BY document_id")
    assert (gone, len(there)) == (None, 16)


def test_late_scores_are_readings_without_a_time_and_change_no_text(bring: Any) -> None:
    """A score that was read long after is kept, but nothing of what studies read depends on it."""
    bring("documents", "RS_2025-06.zst", packed(submission(1)), source="reddit", collection="c")
    kept = [bring.texts(f"SELECT * FROM {table}") for table in ("document", "mention")]
    later = packed(submission(1, score=90_000, num_comments=7_000))
    again = bring("documents", "RS_2025-06.zst", later, source="reddit", collection="c")
    assert (again.counts.new, again.counts.corrected, again.counts.known) == (0, 0, 1)
    assert [bring.texts(f"SELECT * FROM {table}") for table in ("document", "mention")] == kept
    readings = bring.rows("SELECT reading, read_at, likes, comments FROM engagement")
    assert [row[:2] for row in readings] == [("unknown", None)]


def test_a_dump_that_is_cut_is_told(bring: Any) -> None:
    dump = packed(*(comment(n) for n in range(50)))
    with pytest.raises(UnreadableFile, match=r"RC_2025-06\.zst is cut short or damaged"):
        bring("documents", "RC_2025-06.zst", dump[:-9], source="reddit")
