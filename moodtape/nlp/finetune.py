"""How the bundled model was made: one encoder, two heads, reproducible by one command.

1. Check the base weights by their hash (`base_weights.py`), read the labels (`labels.py`).
2. Put a sentiment head and a kind head on the mean of the encoder's tokens.
3. Train in length-bucketed batches and keep a running average of the weights.
4. After each pass score the dev split; the pass with the lowest dev loss wins.
5. Fit one temperature for each head on the dev split (`calibration.py`).
6. Export to ONNX with 8-bit weights (`export.py`), and compare its labels with the model's.

    python -m moodtape.nlp.finetune --labels labels --out DIR [--device cuda]

The same seed gives the same file on the same machine; another kind of processor rounds
differently and gives a model as good, not the same one.
"""

from __future__ import annotations

import argparse
import copy
import math
import os
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from moodtape.errors import MoodtapeError
from moodtape.nlp import base_weights
from moodtape.nlp.calibration import dev_report, fit_temperatures
from moodtape.nlp.labels import PARTS, Examples, batches, read_examples
from moodtape.nlp.model_folder import TOKENIZER_FILE
from moodtape.nlp.onnx_scorer import OnnxScorer
from moodtape.nlp.recipe import Recipe, model_facts
from moodtape.nlp.tokens import encode, load_tokenizer, tokenizer_json
from moodtape.nlp.two_heads import build_model, logits, pad, require_torch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Tuned:
    """A fine-tuned model and what its making measured."""

    model: Any
    tokenizer: str
    temperatures: dict[str, float]
    history: list[dict[str, float]]
    newest_text: datetime


def train(
    folder: Path, recipe: Recipe, base: Path, device: str = "cpu", log: TextIO | None = None
) -> Tuned:
    """Fine-tune the encoder in `base` on the labels in `folder`; return the best pass by dev loss.

    Args:
        device: what torch calls it: `cpu`, `cuda`.
        log: where each pass is reported; standard error by default.
    """
    require_torch()
    import numpy as np
    import torch

    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # else its sums vary
    torch.manual_seed(recipe.seed)
    torch.use_deterministic_algorithms(True)
    rng = np.random.default_rng(recipe.seed)
    tokenizer_text = tokenizer_json(base / "tokenizer.json")
    tokenizer = load_tokenizer(tokenizer_text)
    learn = read_examples(folder, "train", recipe.parts, recipe.without)
    dev = read_examples(folder, "dev", recipe.parts, recipe.without)
    ids, dev_ids = encode(tokenizer, learn.texts), encode(tokenizer, dev.texts)
    lengths = np.array([len(row) for row in ids])
    rows = np.repeat(np.arange(len(learn)), np.where(learn.own, recipe.own_repeat, 1))
    total = recipe.steps or recipe.epochs * math.ceil(len(rows) / recipe.batch_size)

    half = recipe.precision == "bf16"
    model = build_model(base, recipe.dropout, plain_attention=half or device != "cpu").to(device)
    optimizer = torch.optim.AdamW(
        parameter_groups(model, recipe), weight_decay=recipe.weight_decay, betas=(0.9, 0.98)
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: recipe.rate_at(s, total))
    weights = learn.class_weights(recipe.class_power, recipe.own_repeat)
    average = copy.deepcopy(model)
    best: tuple[float, dict[str, Any]] = (math.inf, {})
    history: list[dict[str, float]] = []
    step = 0
    while step < total:
        model.train()
        for batch in batches(lengths, rng.permutation(rows), recipe.batch_size, rng):
            with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=half):
                loss = example_loss(model, ids, learn, batch, weights, recipe)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            step += 1
            update_average(average, model, min(recipe.average_decay, (1 + step) / (10 + step)))
            if step >= total:
                break
        row = {"step": float(step)} | dev_report(*logits(average, dev_ids), dev)
        history.append(row)
        print(
            " ".join(f"{name}={value:.4g}" for name, value in row.items()),
            file=log or sys.stderr,
            flush=True,
        )
        if row["loss"] < best[0]:
            best = (row["loss"], copy.deepcopy(average.state_dict()))
    average.load_state_dict(best[1])
    temperatures = fit_temperatures(*logits(average, dev_ids), dev)
    return Tuned(average.eval(), tokenizer_text, temperatures, history, learn.newest)


def parameter_groups(model: Any, recipe: Recipe) -> list[dict[str, Any]]:
    """Return the trained parameters with their learning rates; freezes the lowest ones."""
    heads = [*model.sentiment.parameters(), *model.kind.parameters()]
    groups: list[dict[str, Any]] = [{"params": heads, "lr": recipe.head_learning_rate}]
    layers = list(model.encoder.encoder.layer)
    model.encoder.embeddings.requires_grad_(False)
    for index, layer in enumerate(layers):
        if index < recipe.frozen_layers:
            layer.requires_grad_(False)
            continue
        rate = recipe.learning_rate * recipe.layer_decay ** (len(layers) - 1 - index)
        groups.append({"params": list(layer.parameters()), "lr": rate})
    return groups


def example_loss(
    model: Any,
    ids: list[list[int]],
    examples: Examples,
    batch: NDArray[np.int64],
    weights: NDArray[np.float64],
    recipe: Recipe,
) -> Any:
    """Return the batch's loss: sentiment, plus kind on the rows that have one.

    A teacher's shares are soft as they are, and not smoothed again.
    """
    import numpy as np
    import torch

    def moved(rows: NDArray[Any]) -> Any:
        return torch.tensor(rows[batch]).float().to(sentiment.device)

    sentiment, kind = model(*pad([ids[i] for i in batch], model))
    smooth = np.where(examples.part == "taught", 0.0, recipe.label_smoothing)[:, None]
    loss = soft_loss(sentiment, moved(examples.sentiment), moved(smooth), moved(weights)).mean()
    known = np.flatnonzero(examples.kind[batch].sum(axis=1) > 0)
    if len(known):
        losses = soft_loss(kind, moved(examples.kind), moved(smooth))
        loss = loss + recipe.kind_weight * losses[known].mean()
    return loss


def soft_loss(scores: Any, target: Any, smooth: Any, weights: Any = 1.0) -> Any:
    """Return each row's cross entropy against shares that are smoothed, (n, k) -> (n,)."""
    target = target * (1 - smooth) + smooth / target.shape[1]
    return (-target * scores.log_softmax(1) * weights).sum(1)


def update_average(average: Any, model: Any, decay: float) -> None:
    """Move the running average a step towards the model, in place."""
    import torch

    with torch.no_grad():
        torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - decay)


def equal_labels(folder: Path, model: Any, texts: list[str]) -> float:
    """Return the share of texts to which the exported file gives the model's own label."""
    scorer = OnnxScorer(folder)
    tokenizer = load_tokenizer((folder / TOKENIZER_FILE).read_text("utf-8"))
    expected, _ = logits(model, encode(tokenizer, texts))
    same = scorer.score(texts).argmax(axis=1) == expected.argmax(axis=1)
    return float(same.mean())


def make(labels: Path, out: Path, recipe: Recipe, device: str) -> None:
    """Fine-tune, export, compare, and write the model's folder."""
    require_torch()  # before the base weights, which come with the same extra
    from moodtape.nlp import export

    tuned = train(labels, recipe, base_weights.base_folder(), device)
    export.fold_temperatures(tuned.model, tuned.temperatures)
    model = tuned.model.cpu()
    proto = export.store_in_8_bits(export.to_onnx(model))
    facts = model_facts(recipe, tuned.newest_text)
    facts |= {"temperatures_folded_in": tuned.temperatures, "history": tuned.history}
    export.write_folder(out, proto, tuned.tokenizer, facts)
    texts = read_examples(labels, "dev", recipe.parts).texts
    share = equal_labels(out, model, texts)
    facts["equal_labels_to_fp32"] = {"texts": len(texts), "share": share}
    export.write_folder(out, proto, tuned.tokenizer, facts)


def main(arguments: list[str] | None = None) -> int:
    """Fine-tune, export and write the model's folder; return an exit code."""
    parser = argparse.ArgumentParser("python -m moodtape.nlp.finetune", description=main.__doc__)
    parser.add_argument("--labels", type=Path, required=True, help="folder of label tables")
    parser.add_argument("--out", type=Path, required=True, help="folder for the model")
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    parser.add_argument("--epochs", type=int, default=Recipe.epochs)
    parser.add_argument("--steps", type=int, help="stop after this many (a smoke test)")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="label sets")
    parser.add_argument("--without", nargs="*", default=(), help="sources left out: news reddit x")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default=Recipe.precision)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    given = parser.parse_args(arguments)
    recipe = Recipe(
        epochs=given.epochs, steps=given.steps, seed=given.seed,
        parts=tuple(given.parts), without=tuple(given.without), precision=given.precision,
    )  # fmt: skip
    try:
        make(given.labels, given.out, recipe, given.device)
    except MoodtapeError as exc:
        print(exc, file=sys.stderr)
        return exc.exit_code
    print(given.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
