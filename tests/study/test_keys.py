"""What one code, library or data set computed is never gone on with by another."""

from __future__ import annotations

from dataclasses import replace
from importlib import metadata
from pathlib import Path

import pytest

from moodtape.forecaster import checkpoint
from moodtape.forecaster.arms import real_arm
from moodtape.study.ground import Ground
from moodtape.study.training import served_key
from moodtape.study.tuning import tuning_key
from moodtape.study.unfinished import study_key


def keys(ground: Ground) -> list[str]:
    return [
        study_key(ground, "ablate"),
        study_key(ground, "evaluate"),
        served_key(ground, real_arm(ground.arms)),
        tuning_key(ground, ground.config),
    ]


def no_key_is_the_same(ground: Ground, before: list[str]) -> bool:
    return not set(keys(ground)) & set(before)


def test_other_code_of_the_same_version_has_other_keys(
    ground: Ground, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = keys(ground)
    assert keys(ground) == before
    (tmp_path / "linear.py").write_text("PENALTIES = (1.0,)")
    monkeypatch.setattr(checkpoint, "ROOM", tmp_path)
    assert no_key_is_the_same(ground, before)
    before = keys(ground)
    (tmp_path / "linear.py").write_text("PENALTIES = (2.0,)")
    checkpoint.code_hash.cache_clear()
    assert no_key_is_the_same(ground, before)


@pytest.mark.parametrize("library", ["numpy", "scikit-learn", "keras", "tensorflow"])
def test_other_libraries_have_other_keys(
    ground: Ground, monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    before, version = keys(ground), metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: version(name) + "+" * (name == library))
    assert no_key_is_the_same(ground, before)


def test_a_column_that_placebos_move_has_other_keys_than_one_they_leave(ground: Ground) -> None:
    dataset = ground.dataset
    plain = tuple(replace(column, polarity=False) for column in dataset.columns)
    assert no_key_is_the_same(
        replace(ground, dataset=replace(dataset, columns=plain)), keys(ground)
    )
