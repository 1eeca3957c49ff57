"""A study that was interrupted goes on in its run folder, with the cells that it finished.

1. key      all that the bits of its cells depend on, in the name of their folder
2. hold     the newest run with such a folder, or a new one; nobody else works in it
3. forget   the cells, once the run is whole
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from moodtape.forecaster.cells import CellStore
from moodtape.forecaster.checkpoint import computed_by, fit_key, held, is_held
from moodtape.forecaster.runs import config_hash, make_run_folder
from moodtape.storage.write import new_run_id
from moodtape.study.ground import Ground
from moodtape.study.project import Steps


@contextmanager
def run_of_study(
    runs: Path, ground: Ground, verb: str, now: datetime, tell: Steps
) -> Iterator[tuple[Path, CellStore]]:
    """Hold the run folder of a study, and give it with the store of the study's cells.

    The cells are forgotten when the context ends without an error.

    Args:
        verb: what the study is made for: `ablate` or `evaluate`.
        now: when it began; a new folder is called by it.
    """
    key = study_key(ground, verb)
    folder = begun(runs, key)
    if folder is not None:
        tell(0, 0, f"going on with {folder.name}")
    folder = folder or make_run_folder(runs, new_run_id(now))
    kept = CellStore(folder / cells_folder(key))
    with held(folder):
        yield folder, kept
        kept.remove()


def study_key(ground: Ground, verb: str) -> str:
    """Return a hash of all that the bits of a study's cells depend on, and of its verb."""
    return fit_key(
        verb=verb,
        dataset=ground.dataset.fingerprint(),
        span=ground.span,
        config=config_hash(ground.config),
        importance_draws=ground.config.ablation.importance_draws,
        seed=ground.config.seed,
        arms=ground.arms,
        folds=[[f.train_from, f.test_from, f.test_until] for f in ground.folds],
        computed_by=computed_by(),
    )


def begun(runs: Path, key: str) -> Path | None:
    """Return the newest run folder with cells of an unfinished study of this key, free to take."""
    for cells in sorted(runs.glob(f"*/{cells_folder(key)}"), reverse=True):
        if not is_held(cells.parent):
            return cells.parent
    return None


def cells_folder(key: str) -> str:
    """Return the name of the folder in which a run keeps the cells of an unfinished study."""
    return f"cells-{key}"
