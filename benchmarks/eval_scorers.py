"""How often each scorer is right on labelled texts: the tables of the model card.

    python benchmarks/eval_scorers.py [--extra FILE.parquet SOURCE,SOURCE...] [--errors FILE.csv]

The dev rows of `labels/` are scored by the bundled model, by the word list, by tf-idf with
logistic regression fitted on the same labelled train rows with the same weights, and by VADER
where it is installed (`pip install vaderSentiment`). `--extra` names a file with `text`,
`source`, and `label` and/or `score`, and which of its sources to read.
Intervals: 2,000 bootstrap resamples of the rows, 2.5th to 97.5th percentile.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from moodtape.nlp.base import KINDS, LABELS
from moodtape.nlp.evaluate import (
    calibration_bins,
    compare,
    confusion,
    label_classes,
    macro_f1,
)
from moodtape.nlp.lexicon import LexiconScorer
from moodtape.nlp.onnx_scorer import OnnxScorer
from moodtape.nlp.recipe import Recipe

FOLDER = Path(__file__).parent.parent / "labels"
RESAMPLES = 2_000
GROUPS = {
    "mouadja02_2025": "own, headlines of 2025",
    "zakariaeyahya_2510": "own, Reddit of 2025",
    "socialgrep_rbitcoin_2206": "own, Reddit of 2022",
}
TWEETS = "twitter_financial"


class WordStatistics:
    """Tf-idf of words and pairs of words, then logistic regression; the usual yardstick.

    Args:
        texts, labels, weights: train rows, (n,) each.
        inverse_penalty: chosen once, by five-fold log loss on the train rows.
    """

    def __init__(self, texts: Any, labels: Any, weights: Any, inverse_penalty: float = 3) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression

        self.words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
        self.model = LogisticRegression(C=inverse_penalty, max_iter=1_000)
        self.model.fit(self.words.fit_transform(texts), labels, sample_weight=weights)

    def score(self, texts: list[str], names: tuple[str, ...] = LABELS) -> Any:
        """Return one probability for each name, (n, k)."""
        found = list(self.model.classes_)
        return self.model.predict_proba(self.words.transform(texts))[:, [*map(found.index, names)]]


class Vader:
    """The word list and rules of Hutto & Gilbert (2014), cut at the +-.05 that they name.

    It gives no probabilities, so its calibration error says nothing.
    """

    def __init__(self) -> None:
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

        self.polarity = SentimentIntensityAnalyzer().polarity_scores

    def score(self, texts: list[str]) -> Any:
        """Return .9 for the answer, and the rest by the compound score to rank by, (n, 3)."""
        compound = np.array([self.polarity(text)["compound"] for text in texts])
        answer = np.eye(len(LABELS))[np.digitize(compound, (-0.05, np.nextafter(0.05, 0)))]
        lean = np.stack([(1 - compound) / 2, np.zeros_like(compound), (1 + compound) / 2], axis=1)
        return 0.9 * answer + 0.1 * lean


def read_labels() -> pd.DataFrame:
    """Return the three label tables with `group` (where a text is from) and `own`."""
    own = pd.read_parquet(FOLDER / "own_crypto.parquet")
    own["group"] = own["dataset"].map(GROUPS)
    hard = pd.read_parquet(FOLDER / "own_crypto_hard.parquet").assign(group="hard")
    tweets = pd.read_parquet(FOLDER / "twitter_financial.parquet")
    return pd.concat(
        [own.assign(own=True), hard.assign(own=True), tweets.assign(own=False, group=TWEETS)],
        ignore_index=True,
    )


def interval(truth: Any, predicted: Any, classes: int) -> dict[str, tuple[float, float]]:
    """Return 95 % bootstrap intervals of accuracy and macro-F1."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(RESAMPLES):
        rows = rng.integers(len(truth), size=len(truth))
        counts = confusion(truth[rows], predicted[rows], classes)
        found.append((np.trace(counts) / counts.sum(), macro_f1(counts)))
    low, high = np.percentile(found, [2.5, 97.5], axis=0)
    return {"accuracy": (low[0], high[0]), "macro_f1": (low[1], high[1])}


def row(group: str, scorer: str, table: pd.DataFrame, shares: Any) -> str:
    """Return one line of the card's table: figures with their intervals."""
    result = compare(shares, table)
    cells = [group, scorer, f"{len(table):,}"]
    if result["accuracy"] is None:
        cells += ["", "", "", ""]
    else:
        labelled = table["label"].notna().to_numpy()
        truth = label_classes(table["label"][labelled])
        around = interval(truth, shares[labelled].argmax(axis=1), len(LABELS))
        for name in ("accuracy", "macro_f1"):
            low, high = around[name]
            cells.append(f"{result[name]:.3f} ({low:.3f} to {high:.3f})")
        cells.append(f"{result['expected_calibration_error']:.3f}")
        cells.append(f"{shares[labelled].max(axis=1).mean():.3f}")
    rank = result["spearman"]
    return "| " + " | ".join([*cells, "" if rank is None else f"{rank:.3f}"]) + " |"


def sentiment_table(scorers: Mapping[str, Any], table: pd.DataFrame, groups: list[str]) -> None:
    print(
        "\n| texts | scorer | n | accuracy | macro-F1 | calibration error | mean top | Spearman |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for group in groups:
        ours = table["group"].isin(GROUPS.values()) & (group == "own, all")
        part = table[ours | (table["group"] == group)]
        for name, scorer in scorers.items():
            print(row(group, name, part, scorer.score(part["text"].tolist())), flush=True)


def kind_table(bundled: OnnxScorer, train: pd.DataFrame, dev: pd.DataFrame) -> None:
    print("\n| kind | scorer | n | accuracy | macro-F1 |\n|---|---|---|---|---|")
    truth = np.array([KINDS.index(kind) for kind in dev["kind"]])
    texts = dev["text"].tolist()
    words = WordStatistics(train["text"], train["kind"], None)
    answers = {
        "bundled": bundled.classify_kinds(texts),
        "tf-idf + logistic": words.score(texts, KINDS),
    }
    for name, shares in answers.items():
        predicted = shares.argmax(axis=1)
        counts = confusion(truth, predicted, len(KINDS))
        around = interval(truth, predicted, len(KINDS))
        figures = {"accuracy": np.trace(counts) / counts.sum(), "macro_f1": macro_f1(counts)}
        cells = [f"{figures[k]:.3f} ({low:.3f} to {high:.3f})" for k, (low, high) in around.items()]
        print(f"| own, all | {name} | {len(dev)} | " + " | ".join(cells) + " |")
        print(pd.DataFrame(counts, index=KINDS, columns=KINDS).to_string())


def curve(bundled: OnnxScorer, dev: pd.DataFrame) -> None:
    """Print how often the model is right where it says it is this sure, own dev rows."""
    shares = bundled.score(dev["text"].tolist())
    print("\n| it is this sure | rows | right |\n|---|---|---|")
    for count, confidence, right in calibration_bins(shares, label_classes(dev["label"]), 10):
        print(f"| {confidence:.2f} | {count} | {right:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description="How often each scorer is right.")
    parser.add_argument("--model", type=Path, help="folder of a model; the bundled one by default")
    parser.add_argument("--extra", nargs=2, metavar=("FILE", "SOURCES"))
    parser.add_argument("--errors", type=Path, help="write the bundled model's errors on dev here")
    given = parser.parse_args()
    labels = read_labels()
    train, dev = labels[labels["split"] == "train"], labels[labels["split"] == "dev"]
    weights = np.where(train["own"], Recipe.own_repeat, 1)
    scorers: dict[str, Any] = {
        "bundled": OnnxScorer(given.model),
        "lexicon": LexiconScorer(),
        "tf-idf + logistic": WordStatistics(train["text"], train["label"], weights),
    }
    if find_spec("vaderSentiment"):
        scorers["VADER"] = Vader()
    sentiment_table(scorers, dev, [*GROUPS.values(), "own, all", "hard", TWEETS])
    easier = dev[dev["group"].isin(GROUPS.values())]
    kind_table(scorers["bundled"], train[train["own"]], easier)
    curve(scorers["bundled"], easier)
    if given.extra:
        extra = pd.read_parquet(given.extra[0])
        names = given.extra[1].split(",")
        extra = extra[extra["source"].isin(names)].assign(own=False)
        sentiment_table(scorers, extra.assign(group=extra["source"]), names)
    if given.errors:
        shares = scorers["bundled"].score(dev["text"].tolist())
        dev = dev.assign(predicted=[LABELS[i] for i in shares.argmax(axis=1)], top=shares.max(1))
        columns = ["group", "label", "predicted", "top", "kind", "text"]
        dev.loc[dev["label"] != dev["predicted"], columns].to_csv(given.errors, index=False)


if __name__ == "__main__":
    main()
