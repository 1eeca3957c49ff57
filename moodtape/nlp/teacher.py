"""A larger encoder says what it makes of texts without a label; the bundled model learns it too.

The teacher is fine-tuned on the same labels in the same way (`finetune.py`), several
seeds of it, and their mean probability goes into `labels/taught.parquet`, from which
the bundled model can be made again without the teacher.

    python -m moodtape.nlp.teacher --labels labels --encoder DIR --texts FILE --out FILE

DIR holds an encoder as `transformers` saves one (the shipped table: the weights of
sentence-transformers/all-mpnet-base-v2). FILE has `text`, `source`, `dataset`,
`published_at`, `licence`; an earlier `taught.parquet` is such a file.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moodtape.errors import MoodtapeError
from moodtape.nlp.base import KINDS, LABELS
from moodtape.nlp.calibration import softmax
from moodtape.nlp.finetune import train
from moodtape.nlp.recipe import Recipe
from moodtape.nlp.tokens import encode, load_tokenizer
from moodtape.nlp.two_heads import logits

if TYPE_CHECKING:
    from numpy.typing import NDArray

COLUMNS = ("text", "source", "dataset", "published_at", "licence")
TEACHER = Recipe(
    epochs=3,
    learning_rate=5e-5,
    head_learning_rate=5e-4,
    layer_decay=0.9,
    frozen_layers=2,
    average_decay=0.995,
    parts=("own", "hard", "tweets"),
)
"""What a larger encoder needs otherwise than the bundled model's recipe. It never learns
from what an earlier teacher said."""


def teach(
    labels: Path, encoder: Path, texts: list[str], recipe: Recipe, device: str
) -> NDArray[Any]:
    """Fine-tune one teacher and return its probabilities, (n, 8): sentiment, then kind."""
    import numpy as np

    tuned = train(labels, recipe, encoder, device)
    heads = logits(tuned.model, encode(load_tokenizer(tuned.tokenizer), texts))
    shares = [
        softmax(head, tuned.temperatures[name])
        for head, name in zip(heads, ("sentiment", "kind"), strict=True)
    ]
    return np.concatenate(shares, axis=1)


def main(arguments: list[str] | None = None) -> int:
    """Write what the teachers make of the texts; return an exit code."""
    parser = argparse.ArgumentParser("python -m moodtape.nlp.teacher", description=main.__doc__)
    parser.add_argument("--labels", type=Path, required=True, help="folder of label tables")
    parser.add_argument("--encoder", type=Path, required=True, help="folder of the larger encoder")
    parser.add_argument("--texts", type=Path, required=True, help="Parquet file of texts")
    parser.add_argument("--out", type=Path, required=True, help="Parquet file for the answers")
    parser.add_argument("--seeds", type=int, nargs="+", default=(1, 2))
    parser.add_argument("--epochs", type=int, default=TEACHER.epochs)
    parser.add_argument("--steps", type=int, help="stop after this many (a smoke test)")
    parser.add_argument("--without", nargs="*", default=(), help="sources left out: news reddit x")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    given = parser.parse_args(arguments)
    try:
        write_taught(given)
    except MoodtapeError as exc:
        print(exc, file=sys.stderr)
        return exc.exit_code
    print(given.out)
    return 0


def write_taught(given: argparse.Namespace) -> None:
    """Average the seeds and write the table; probabilities keep four decimals."""
    import numpy as np
    import pandas as pd

    table = pd.read_parquet(given.texts)[list(COLUMNS)].assign(split="train")
    answers = []
    for seed in given.seeds:
        recipe = replace(
            TEACHER,
            epochs=given.epochs,
            steps=given.steps,
            seed=seed,
            without=tuple(given.without),
        )
        answers.append(
            teach(given.labels, given.encoder, list(table["text"]), recipe, given.device)
        )
    mean = np.mean(answers, axis=0).round(4).astype(np.float32)
    for name, column in zip((*LABELS, *KINDS), mean.T, strict=True):
        table[name] = column
    given.out.parent.mkdir(parents=True, exist_ok=True)
    table.to_parquet(given.out, compression="zstd", index=False)


if __name__ == "__main__":
    raise SystemExit(main())
