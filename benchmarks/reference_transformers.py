"""The peer of the scorers' benchmark: the bundled weights in torch, behind transformers.pipeline.

The file's 8-bit weights are multiplied out, so the peer computes with the same numbers, and both
must give the same labels. A model of FinBERT's size gets random weights: its speed is what counts.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from moodtape.nlp.base import LABELS
from moodtape.nlp.convert import convert
from moodtape.nlp.model_folder import MODEL_FILE, TOKENIZER_FILE, read_facts
from moodtape.nlp.onnx_scorer import bundled_folder


def stored_weights(path: Path) -> dict[str, Any]:
    """Return the fp32 weights of a model file by torch's names.

    A matrix has lost its name in the file and takes that of the bias which is added to it.
    """
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(path).graph
    found = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for name in [key.removesuffix(".int8") for key in found if key.endswith(".int8")]:
        found[name] = found.pop(f"{name}.int8").astype("float32") * found.pop(f"{name}.scale")
    readers = {node.input[0]: node for node in graph.node if node.op_type == "Add"}
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in found:
            bias = next(n for n in readers[node.output[0]].input if n in found)
            found[f"{bias.removesuffix('.bias')}.weight"] = found.pop(node.input[1]).T
    return {name: array for name, array in found.items() if name.startswith(("encoder.", "senti"))}


def bundled_model() -> Any:
    """Return the bundled model's tone as a module that a pipeline accepts."""
    import torch

    weights = stored_weights(bundled_folder() / MODEL_FILE)
    width = weights["encoder.embeddings.word_embeddings.weight"].shape[1]
    layers = 1 + max(int(n.split(".")[3]) for n in weights if n.startswith("encoder.encoder."))
    model = classifier(width, layers, mean=True)
    tensors = {
        name.replace("encoder.", "bert.", 1).replace("sentiment.", "classifier."): torch.tensor(w)
        for name, w in weights.items()
        if not name.endswith("_ids")
    }
    lacking = model.load_state_dict(tensors, strict=False)
    if lacking.missing_keys or lacking.unexpected_keys:
        raise SystemExit(f"the model file does not fit the peer: {lacking}")
    return model


def large_model() -> Any:
    """Return a model of FinBERT's size, always the same random one."""
    return classifier(768, 12, mean=False)


def classifier(width: int, layers: int, mean: bool) -> Any:
    """Return a BERT with random weights and three classes, over its tokens' mean or the first."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertModel
    from transformers.modeling_outputs import SequenceClassifierOutput

    config = BertConfig(
        vocab_size=30_522, hidden_size=width, num_hidden_layers=layers,
        intermediate_size=4 * width, num_attention_heads=12, id2label=dict(enumerate(LABELS)),
        label2id={label: place for place, label in enumerate(LABELS)},
    )  # fmt: skip
    torch.manual_seed(0)
    if not mean:
        return BertForSequenceClassification(config).eval()

    class Mean(BertForSequenceClassification):
        def __init__(self, config: Any) -> None:
            super().__init__(config)
            self.bert = BertModel(config, add_pooling_layer=False)

        def forward(self, input_ids: Any, attention_mask: Any, **_: Any) -> Any:
            hidden = self.bert(input_ids, attention_mask=attention_mask).last_hidden_state
            weights = attention_mask.unsqueeze(-1).to(hidden.dtype)
            pooled = (hidden * weights).sum(1) / weights.sum(1)
            return SequenceClassifierOutput(logits=self.classifier(pooled))

    Mean.__name__ = BertForSequenceClassification.__name__  # pipelines know models by their names
    return Mean(config).eval()


def fast_tokenizer(folder: Path) -> Any:
    """Return the tokenizer of a scorer's folder in transformers' form."""
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_file=str(folder / TOKENIZER_FILE),
        model_max_length=read_facts(folder).max_tokens,
        pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
    )  # fmt: skip


def convert_large(folder: Path) -> None:
    """Write the large model as a hub would, and convert it into `large` as `models add` does."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    large_model().save_pretrained(folder / "source")
    tokenizer = (bundled_folder() / TOKENIZER_FILE).read_bytes()
    (folder / "source" / TOKENIZER_FILE).write_bytes(tokenizer)
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "[PAD]"}
    (folder / "source" / "tokenizer_config.json").write_text(json.dumps(config), "utf-8")
    convert(folder / "source", folder / "large", "large", None)


def pipe(model: Any, tokenizer: Any, threads: int) -> Any:
    """Return `transformers.pipeline` on the CPU."""
    import torch
    from transformers import pipeline
    from transformers.utils import logging

    logging.set_verbosity_error()
    torch.set_num_threads(threads)
    return pipeline("text-classification", model=model, tokenizer=tokenizer, device="cpu")


if __name__ == "__main__":
    convert_large(Path(sys.argv[1]))
