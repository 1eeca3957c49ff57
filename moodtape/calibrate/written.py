"""A drawn world written out as texts, and through the whole line: import, score, hours, study.

Each hour's tone becomes as many headlines as the world has texts, which lean as it does. A
headline's own leaning is half noise, so an effect is smaller here than the world states.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from moodtape.calibrate.bars import START
from moodtape.calibrate.worlds import SPREAD, World
from moodtape.storage.db import Warehouse
from moodtape.study.ground import Ground, Question, lay_ground
from moodtape.testing import DESKS, FALLS, RESTS, RISES, Market, headline, store_market

if TYPE_CHECKING:
    import pandas as pd

    from moodtape.config import Config

LEAN = 0.6
"""Headlines that lean further than so many deviations of an hour's tone rise or fall."""


def written_ground(world: World, config: Config, rng: np.random.Generator) -> Ground:
    """Return what a study of a world stands on, its texts imported and scored one by one.

    Args:
        config: names the scorer `lexicon`, which needs no model.
        rng: draws the words.
    """
    with TemporaryDirectory(prefix="moodtape-world-") as folder:
        warehouse = Warehouse(Path(folder) / "moodtape.duckdb")
        bars = world.bars.assign(symbol=world.symbol)
        columns = ["open_time", "symbol", "open", "high", "low", "close", "volume"]
        market = Market(
            (world.symbol,), bars[columns], headlines(world, rng), np.zeros((1, 0)), "nothing", 0.0
        )
        store_market(warehouse, Path(folder) / "files", market, config)
        return lay_ground(warehouse, config, Question())


def headlines(world: World, rng: np.random.Generator) -> pd.DataFrame:
    """Return texts that were known within their hour and whose words lean as the hour's tone."""
    import pandas as pd

    sums = world.sums
    n = sums["n"].to_numpy()
    hour = np.repeat(np.arange(len(n)), n)
    lean = np.repeat(sums["sum_tone"].to_numpy() / (1e6 * n * SPREAD), n)
    lean = lean + rng.standard_normal(len(hour))
    pick = rng.integers(0, 1 << 30, (3, len(hour)))
    titles = []
    for leaning, phrase, desk, number in zip(lean, *pick, strict=True):
        phrases = RISES if leaning > LEAN else FALLS if leaning < -LEAN else RESTS
        place = DESKS[desk % len(DESKS)]
        titles.append(headline(world.symbol, phrases[phrase % len(phrases)], place, number))
    published = pd.Timestamp(START) + pd.to_timedelta(hour, "h")
    published += pd.to_timedelta(rng.uniform(0, 3000, len(hour)), "s").round("us")
    return pd.DataFrame(
        {
            "document_id": [f"{world.symbol}-{i}" for i in range(len(hour))],
            "published_at": published.as_unit("us"),
            "collected_at": (published + timedelta(minutes=5)).as_unit("us"),
            "title": titles,
            "symbol": world.symbol,
        }
    )
