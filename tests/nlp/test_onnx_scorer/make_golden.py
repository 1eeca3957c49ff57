"""Writes golden.json again after a new model: `python tests/nlp/test_onnx_scorer/make_golden.py`.

Read the difference before committing it: labels that change are changes of behaviour.
"""

from __future__ import annotations

import json
from pathlib import Path

from moodtape.nlp.base import KINDS, LABELS
from moodtape.nlp.onnx_scorer import OnnxScorer

TEXTS = (
    "Bitcoin soars past $120,000 to a new all-time high",
    "Exchange halts withdrawals after $230M hack",
    "Ether slides 8% as liquidations top $500M",
    "Spot bitcoin ETFs take in $640 million, the most since January",
    "SEC drops its lawsuit against a large crypto exchange",
    "Ethereum developers move the next upgrade call to Thursday",
    "Analyst sees BTC at $200K by the end of the year",
    "Bitcoin could crash to $60,000, warns veteran trader",
    "Last chance to join the presale of the next 100x meme coin!",
    "How do I move my coins to a hardware wallet? | New here, any guide would help",
    "I lost everything on leverage 😭 | Should have listened to you all",
    "Just bought my first whole coin 🚀🚀",
)


def main() -> None:
    """Score the texts with the bundled model and write them down beside this file."""
    scorer = OnnxScorer()
    sentiment, kinds = scorer.score_and_classify(TEXTS)
    rows = [
        {
            "text": text,
            "label": LABELS[int(tone.argmax())],
            "kind": KINDS[int(kind.argmax())],
            "sentiment": [round(float(share), 6) for share in tone],
            "kinds": [round(float(share), 6) for share in kind],
        }
        for text, tone, kind in zip(TEXTS, sentiment, kinds, strict=True)
    ]
    golden = {"revision": scorer.revision, "rows": rows}
    path = Path(__file__).parent / "golden.json"
    path.write_text(json.dumps(golden, indent=2, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()
