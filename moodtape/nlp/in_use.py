"""Which revision of its scorer a project goes by: a GPU rounds otherwise, so it has its own.

`sentiment.device` names one, or is `auto`: then it is the revision that scored here first, and
the CPU's where none did. So what a study reads never hangs on the machine that it runs on, nor
changes by itself. `docs/decisions/0006-a-gpu-has-its-own-scores.md` says why.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from moodtape.nlp.base import Scorer
from moodtape.nlp.registry import BUNDLED, Device, load_scorer, runs_on_gpu, scorer_id
from moodtape.storage.db import Warehouse
from moodtape.storage.scores import in_order_of_first_score

if TYPE_CHECKING:
    from moodtape.config import SentimentSection

DEVICES: tuple[Device, ...] = ("cpu", "gpu")
_SHOWN = {"cpu": "the CPU", "gpu": "a GPU"}


@dataclass(frozen=True)
class InUse:
    """The scorer that a project goes by.

    scorer: on its device; what it needs is loaded, and missed, when it first scores.
    device: which one that is.
    beside: id of the same model on the other device, if that has scored here; else empty.
    """

    scorer: Scorer
    device: Device
    beside: str = ""

    @property
    def advice(self) -> str:
        """Say how the scores of the other device are read; empty if there are none."""
        if not self.beside:
            return ""
        other = next(device for device in DEVICES if device != self.device)
        return f'scores of {_SHOWN[other]} are read with device = "{other}" under [sentiment]'

    @property
    def note(self) -> str:
        """Say which scores are left unread; empty if there are none."""
        if not self.beside:
            return ""
        return (
            f"this project holds scores of both devices and goes by those of {_SHOWN[self.device]};"
            f" {self.advice}"
        )


def scorer_in_use(warehouse: Warehouse, sentiment: SentimentSection, threads: int = 2) -> InUse:
    """Return the scorer that studies of a project read, and that its next texts get.

    Args:
        warehouse: says what has scored; it need not exist yet.
        sentiment: names the scorer, and its device.
        threads: cores it may use.
    Raises:
        UsageError: no scorer has that name, or it cannot run on a GPU and should.
        DataMissing: its model is not here.
    """
    name, wanted = sentiment.scorer, sentiment.device
    if not runs_on_gpu(name):
        return InUse(load_scorer(name, threads, "gpu" if wanted == "gpu" else "cpu"), "cpu")
    made = {device: load_scorer(name, threads, device) for device in DEVICES}
    devices = {scorer_id(scorer): device for device, scorer in made.items()}
    here = _scored_here(warehouse, tuple(devices))
    chosen = wanted if wanted != "auto" else devices[here[0]] if here else "cpu"
    beside = [other for other in here if devices[other] != chosen]
    return InUse(made[chosen], chosen, beside[0] if beside else "")


def classifier_in_use(warehouse: Warehouse, sentiment: SentimentSection) -> str:
    """Return the id of the bundled model by which a project knows the kinds of its texts."""
    device = sentiment.device if sentiment.scorer == BUNDLED else "auto"
    section = sentiment.model_copy(update={"scorer": BUNDLED, "device": device})
    return scorer_id(scorer_in_use(warehouse, section).scorer)


def _scored_here(warehouse: Warehouse, scorers: tuple[str, ...]) -> list[str]:
    """Return those of some scorers that have scored in a warehouse, the first one first."""
    if not warehouse.path.exists():
        return []
    with warehouse.read() as connection:
        return in_order_of_first_score(connection, scorers)
