"""Models of a hub or of a local folder: fetched once, converted once, kept under their revision.

A name says exactly what is meant: `hf:OWNER/NAME@COMMIT`, or `local:NAME@HASH`. `models add`
fetches and converts; scoring only looks into the folder of added models and asks nobody. The
hub's two plain addresses are asked without its client, which would also tell it what runs here.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

from moodtape.errors import CouldNotAsk, DataMissing, UnreadableFile, UsageError
from moodtape.nlp.convert import WEIGHTS, convert, label_order, read_config
from moodtape.nlp.model_folder import FACTS_FILE, ModelFacts, read_facts
from moodtape.nlp.onnx_scorer import ToneScorer, scorer_in

HUB = "https://huggingface.co"
TIMEOUT_S = (10, 60)
LARGEST_FILE = 4 * 2**30
WANTED = (
    "config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
    "vocab.txt", "vocab.json", "merges.txt", "sentencepiece.bpe.model", "spiece.model",
)  # fmt: skip
_HUB_NAME = re.compile(r"hf:([\w.-]+/[\w.-]+)@([\w./-]+)")
_NAME = re.compile(r"hf:[\w.-]+/[\w.-]+@[0-9a-f]{40}|local:[\w.-]+@[0-9a-f]{12}")


def is_model_name(name: str) -> bool:
    """Say whether a scorer's name is that of a hub's or a folder's model."""
    return name.startswith(("hf:", "local:"))


def models_folder() -> Path:
    """Return where added models are kept, for all projects: the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache) / "moodtape" / "models"


def find_model(name: str, threads: int = 2) -> ToneScorer:
    """Return the scorer of an added model; errors as `folder_of_model`."""
    return scorer_in(folder_of_model(name), threads)


def folder_of_model(name: str) -> Path:
    """Return the folder of an added model.

    Raises:
        UsageError: the name says no revision.
        DataMissing: it was never added here.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} does not say which revision: write hf:OWNER/NAME@COMMIT with the whole"
            " commit. `moodtape models add hf:OWNER/NAME@main` finds it and prints the name."
        )
    folder = _folder_of(name)
    if not (folder / FACTS_FILE).is_file():
        raise DataMissing(
            f"The model {name} is not here ({folder}). With a network, run:"
            f" moodtape models add {name}"
        )
    return folder


def added_models() -> list[ModelFacts]:
    """Return what is known of each added model, by name."""
    found = models_folder().glob(f"*/{FACTS_FILE}")
    return sorted((read_facts(path.parent) for path in found), key=lambda facts: facts.name)


def add_model(source: str, trained_until: datetime | None = None, hub: str = HUB) -> str:
    """Fetch and convert a model, unless it is here, and return its name.

    Args:
        source: `hf:OWNER/NAME@REVISION`, a branch or a commit; or a folder.
        trained_until: instant up to which it may know what happened, where its makers say so.
        hub: where it is fetched.

    Raises:
        CouldNotAsk: there is no network, or no such model.
        UsageError, UnreadableFile: it cannot be used; see `convert`.
    """
    if not source.startswith("hf:"):
        return _add_folder(Path(source), trained_until)
    parts = _HUB_NAME.fullmatch(source)
    if parts is None:
        raise UsageError(
            f"{source!r}: write hf:OWNER/NAME@REVISION, hf:ProsusAI/finbert@main for one."
        )
    repository, revision = parts.groups()
    name = f"hf:{repository}@{_commit(repository, revision, hub)}"
    if not (_folder_of(name) / FACTS_FILE).is_file():
        with tempfile.TemporaryDirectory() as fetched:
            _fetch(name, Path(fetched), hub)
            _keep(Path(fetched), name, trained_until)
    return name


def _add_folder(folder: Path, trained_until: datetime | None) -> str:
    if not folder.is_dir():
        raise UnreadableFile(f"{folder} is no folder. A model of a hub is hf:OWNER/NAME@REVISION.")
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.iterdir() if p.name in (*WANTED, *WEIGHTS)):
        digest.update(f"{path.name}\0".encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    plain = re.sub(r"[^\w.-]+", "-", folder.resolve().name) or "model"
    name = f"local:{plain}@{digest.hexdigest()[:12]}"
    if not (_folder_of(name) / FACTS_FILE).is_file():
        _keep(folder, name, trained_until)
    return name


def _keep(source: Path, name: str, trained_until: datetime | None) -> None:
    """Convert into a folder beside, and rename it when it is whole."""
    target = _folder_of(name)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".adding-") as beside:
        made = Path(beside) / "model"
        convert(source, made, name, trained_until)
        if target.exists():
            shutil.rmtree(target)  # cut short by an older version, without facts
        made.rename(target)


def _folder_of(name: str) -> Path:
    return models_folder() / re.sub(r"[^\w.-]+", "--", name)


def _commit(repository: str, revision: str, hub: str) -> str:
    """Return the commit of a branch or tag; a whole commit is its own."""
    if re.fullmatch(r"[0-9a-f]{40}", revision):
        return revision
    commit = str(_told(repository, revision, hub).get("sha", ""))
    if not re.fullmatch(r"[0-9a-f]{40}", commit):
        raise CouldNotAsk(f"{hub} does not say which commit {repository}@{revision} is.")
    return commit


def _fetch(name: str, folder: Path, hub: str) -> None:
    """Fetch a model's files, its classes first: what cannot be mapped costs no download."""
    repository, commit = name.removeprefix("hf:").split("@")
    listed = _told(repository, commit, hub).get("siblings")
    there = {f.get("rfilename") for f in listed or () if isinstance(f, dict)}
    weights = next((w for w in WEIGHTS if w in there), None)
    if weights is None:
        raise UsageError(f"{name} has no weights to load: expected {' or '.join(WEIGHTS)}.")
    for file in (*(w for w in WANTED if w in there), weights):
        _download(f"{hub.rstrip('/')}/{repository}/resolve/{commit}/{file}", folder / file)
        if file == "config.json":
            label_order(read_config(folder).get("id2label"), name)


def _told(repository: str, revision: str, hub: str) -> dict[str, Any]:
    """Return what a hub says of a revision."""
    import requests

    url = f"{hub.rstrip('/')}/api/models/{repository}/revision/{revision}"
    try:
        with requests.get(url, timeout=TIMEOUT_S) as answer:
            answer.raise_for_status()
            told = answer.json()
    except (requests.RequestException, ValueError) as exc:
        raise _unreached(f"{repository}@{revision}", hub, exc) from exc
    return told if isinstance(told, dict) else {}


def _download(url: str, path: Path) -> None:
    """Write a file of a hub, at most so many bytes, whole."""
    import requests

    try:
        with requests.get(url, timeout=TIMEOUT_S, stream=True) as answer, path.open("wb") as file:
            answer.raise_for_status()
            for chunk in answer.iter_content(2**20):
                file.write(chunk)
                if file.tell() > LARGEST_FILE:
                    raise UnreadableFile(f"{url} is larger than {LARGEST_FILE / 2**30:g} GiB.")
    except requests.RequestException as exc:
        raise _unreached(path.name, url, exc) from exc


def _unreached(what: str, hub: str, cause: Exception) -> CouldNotAsk:
    return CouldNotAsk(
        f"{what} cannot be fetched from {hub} ({type(cause).__name__}). Check the name and the"
        " network, or fetch its files elsewhere and run: moodtape models add FOLDER"
    )
