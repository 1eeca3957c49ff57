"""How the bundled model was made: one encoder, two heads, reproducible by one command.

1. Check the base weights by their hash (`base_weights.py`), read the labels (`labels.py`).
2. Put a sentiment head and a kind head on the mean of the encoder's tokens.
3. Train in length-bucketed batches and keep a running average of the weights.
4. After each pass score the dev split; the pass with the lowest dev loss wins.
5. Fit one temperature for each head on the dev split (`calibration.py`).
6. Export to ONNX with 8-bit weights (`export.py`).

    python -m moodtape.nlp.finetune --labels labels --out DIR
"""

from __future__ import annotations

import argparse
import copy
import math
import sys
from dataclasses import dataclass
from datetime import datetime
from importlib import util
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from moodtape.errors import MoodtapeError, UsageError
from moodtape.nlp import base_weights
from moodtape.nlp.base import KINDS, LABELS
from moodtape.nlp.calibration import dev_report, fit_temperatures
from moodtape.nlp.labels import Examples, batches, read_examples
from moodtape.nlp.recipe import Recipe, model_facts
from moodtape.nlp.tokens import encode, load_tokenizer, tokenizer_json

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


def require_torch() -> None:
    """Raise one clear line when the extra that trains is not installed."""
    if any(util.find_spec(name) is None for name in ("torch", "onnxscript", "safetensors")):
        raise UsageError("Fine-tuning needs the 'torch' extra: pip install \"moodtape[torch]\"")


def build_model(folder: Path, dropout: float) -> Any:
    """Return the encoder with two heads: ids and mask (batch, tokens) in, logits out."""
    import torch
    from transformers import BertModel

    class TwoHeads(torch.nn.Module):  # type: ignore[misc, unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.encoder = BertModel.from_pretrained(
                str(folder), add_pooling_layer=False, local_files_only=True, use_safetensors=True
            )
            width = self.encoder.config.hidden_size
            self.dropout = torch.nn.Dropout(dropout)
            self.sentiment = torch.nn.Linear(width, len(LABELS))
            self.kind = torch.nn.Linear(width, len(KINDS))

        def forward(self, input_ids: Any, attention_mask: Any) -> tuple[Any, Any]:
            hidden = self.encoder(input_ids, attention_mask=attention_mask).last_hidden_state
            weights = attention_mask.unsqueeze(-1).to(hidden.dtype)  # (batch, tokens, 1)
            pooled = self.dropout((hidden * weights).sum(1) / weights.sum(1))  # (batch, width)
            return self.sentiment(pooled), self.kind(pooled)

    return TwoHeads()


def train(folder: Path, recipe: Recipe, log: TextIO = sys.stderr) -> Tuned:
    """Fine-tune on the labels in `folder` and return the best pass by dev loss."""
    require_torch()
    import numpy as np
    import torch

    torch.manual_seed(recipe.seed)
    torch.use_deterministic_algorithms(True)
    rng = np.random.default_rng(recipe.seed)
    base = base_weights.base_folder()
    tokenizer_text = tokenizer_json(base / "tokenizer.json")
    tokenizer = load_tokenizer(tokenizer_text)
    learn, dev = read_examples(folder, "train"), read_examples(folder, "dev")
    ids, dev_ids = encode(tokenizer, learn.texts), encode(tokenizer, dev.texts)
    lengths = np.array([len(row) for row in ids])
    rows = np.repeat(np.arange(len(learn)), np.where(learn.own, recipe.own_repeat, 1))
    total = recipe.steps or recipe.epochs * math.ceil(len(rows) / recipe.batch_size)

    model = build_model(base, recipe.dropout)
    optimizer = torch.optim.AdamW(
        parameter_groups(model, recipe), weight_decay=recipe.weight_decay, betas=(0.9, 0.98)
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: recipe.rate_at(s, total))
    weights = torch.tensor(learn.class_weights(recipe.class_power, recipe.own_repeat)).float()
    average = copy.deepcopy(model)
    best: tuple[float, dict[str, Any]] = (math.inf, {})
    history: list[dict[str, float]] = []
    step = 0
    while step < total:
        model.train()
        for batch in batches(lengths, rng.permutation(rows), recipe.batch_size, rng):
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
        print(" ".join(f"{name}={value:.4g}" for name, value in row.items()), file=log, flush=True)
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


def pad(ids: list[list[int]]) -> tuple[Any, Any]:
    """Return ids and mask as tensors, (batch, longest)."""
    import torch

    width = max(len(row) for row in ids)
    padded = torch.tensor([row + [0] * (width - len(row)) for row in ids])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in ids])
    return padded, mask


def example_loss(
    model: Any,
    ids: list[list[int]],
    examples: Examples,
    batch: NDArray[np.int64],
    weights: Any,
    recipe: Recipe,
) -> Any:
    """Return the batch's loss: sentiment, plus kind on the rows that have one."""
    import torch

    sentiment, kind = model(*pad([ids[i] for i in batch]))
    loss = soft_loss(sentiment, torch.tensor(examples.sentiment[batch]).float(), recipe, weights)
    target = torch.tensor(examples.kind[batch]).float()
    known = target.sum(1) > 0
    if bool(known.any()):
        loss = loss + recipe.kind_weight * soft_loss(kind[known], target[known], recipe)
    return loss


def soft_loss(scores: Any, target: Any, recipe: Recipe, weights: Any = 1.0) -> Any:
    """Return the mean cross entropy against smoothed shares, classes weighted if asked."""
    smooth = recipe.label_smoothing
    target = target * (1 - smooth) + smooth / target.shape[1]
    return (-target * scores.log_softmax(1) * weights).sum(1).mean()


def update_average(average: Any, model: Any, decay: float) -> None:
    """Move the running average a step towards the model, in place."""
    import torch

    with torch.no_grad():
        for kept, new in zip(average.parameters(), model.parameters(), strict=True):
            kept.lerp_(new, 1 - decay)


def logits(model: Any, ids: list[list[int]], size: int = 64) -> tuple[Any, Any]:
    """Return the logits of both heads, (n, 3) and (n, 5) float64."""
    import numpy as np
    import torch

    model.eval()
    order = np.argsort([len(row) for row in ids], kind="stable")
    sentiment = np.empty((len(ids), len(LABELS)))
    kind = np.empty((len(ids), len(KINDS)))
    with torch.no_grad():
        for start in range(0, len(ids), size):
            rows = order[start : start + size]
            first, second = model(*pad([ids[i] for i in rows]))
            sentiment[rows], kind[rows] = first.numpy(), second.numpy()
    return sentiment, kind


def main(arguments: list[str] | None = None) -> int:
    """Fine-tune, export and write the model's folder; return an exit code."""
    parser = argparse.ArgumentParser("python -m moodtape.nlp.finetune", description=main.__doc__)
    parser.add_argument("--labels", type=Path, required=True, help="folder of label tables")
    parser.add_argument("--out", type=Path, required=True, help="folder for the model")
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    parser.add_argument("--epochs", type=int, default=Recipe.epochs)
    parser.add_argument("--steps", type=int, help="stop after this many (a smoke test)")
    given = parser.parse_args(arguments)
    recipe = Recipe(epochs=given.epochs, steps=given.steps, seed=given.seed)
    try:
        from moodtape.nlp import export

        tuned = train(given.labels, recipe)
        export.fold_temperatures(tuned.model, tuned.temperatures)
        proto = export.store_in_8_bits(export.to_onnx(tuned.model))
        measured = {"temperatures_folded_in": tuned.temperatures, "history": tuned.history}
        facts = model_facts(recipe, tuned.newest_text) | measured
        export.write_folder(given.out, proto, tuned.tokenizer, facts)
    except MoodtapeError as exc:
        print(exc, file=sys.stderr)
        return exc.exit_code
    print(given.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
