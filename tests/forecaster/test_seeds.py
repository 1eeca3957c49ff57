from moodtape.forecaster.seeds import child_seed, generator


def test_a_child_depends_on_the_root_and_its_name_alone() -> None:
    assert child_seed(7, "fold", 0) == child_seed(7, "fold", 0)
    named = {child_seed(root, *name) for root in (7, 8) for name in (("fold", 0), ("fold", 1), ())}
    assert len(named) == 6
    assert child_seed(7, "a", "b") != child_seed(7, "ab")


def test_a_seed_never_changes_between_releases() -> None:
    """Stored runs would no longer repeat."""
    assert child_seed(7, "bootstrap", "BTC", "return_1") == 177402944
    assert generator(7, "x").integers(0, 1 << 30) == generator(7, "x").integers(0, 1 << 30)
