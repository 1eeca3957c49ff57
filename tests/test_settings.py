"""Settings: who wins, where each value came from, and how a wrong one is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from moodtape.config import Config
from moodtape.errors import ConfigError
from moodtape.settings import (
    PROJECT_FILE,
    Settings,
    bundled_config,
    describe,
    find_project,
    load_settings,
)


class Project:
    """A folder whose settings are read with no environment but its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def file(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def load(
        self, *files: Path, environ: dict[str, str] | None = None, **overrides: Any
    ) -> Settings:
        flags = {name.replace("__", "."): value for name, value in overrides.items()}
        return load_settings(self.folder, files, flags, environ or {})

    def refused(self, *files: Path, environ: dict[str, str] | None = None, **flags: Any) -> str:
        with pytest.raises(ConfigError) as caught:
            self.load(*files, environ=environ, **flags)
        assert caught.value.exit_code == 2
        return str(caught.value)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def origin(settings: Settings, name: str) -> tuple[Any, str]:
    row = next(r for r in describe(settings) if r["name"] == name)
    return row["value"], row["origin"]


def test_without_anything_every_value_is_the_default(project: Project) -> None:
    settings = project.load()
    assert settings.config == Config()
    assert {row["origin"] for row in describe(settings)} == {"default"}


def test_flag_beats_environment_beats_dotenv_beats_later_file_beats_file(project: Project) -> None:
    name = "training.epochs"
    assert origin(project.load(), name) == (20, "default")
    main = project.file(PROJECT_FILE, "[training]\nepochs = 1\nseeds = 9\n")
    assert origin(project.load(), name) == (1, str(main))
    second = project.file("b.toml", "[training]\nepochs = 2\n")
    third = project.file("c.toml", "[training]\nepochs = 3\n")
    assert origin(project.load(second, third), name) == (3, str(third))
    assert origin(project.load(third, second), name) == (2, str(second))
    project.file(".env", "MOODTAPE__TRAINING__EPOCHS=4\nOTHER=1\n")
    assert origin(project.load(second), name) == (4, ".env")
    environ = {"MOODTAPE__TRAINING__EPOCHS": "5", "PATH": "/bin"}
    assert origin(project.load(second, environ=environ), name) == (5, "environment")
    settings = project.load(second, environ=environ, training__epochs=6)
    assert origin(settings, name) == (6, "flag")
    assert origin(settings, "training.seeds") == (9, str(main)), "others keep their own origin"
    assert origin(settings, "training.patience") == (3, "default")


def test_an_unknown_name_is_refused_with_the_nearest(project: Project) -> None:
    path = project.file("my.toml", "[walk_forward]\nfoldz = 3\n")
    nearest = "walk_forward.foldz is not a setting. Did you mean folds?"
    assert project.refused(path) == f"{path}: {nearest}"
    assert project.refused(walk_forward__foldz=3) == f"flag: {nearest}"
    environ = {"MOODTAPE__WALK_FORWARD__FOLDZ": "3"}
    assert project.refused(environ=environ) == f"environment: {nearest}"
    project.file(".env", "MOODTAPE__WALK_FORWARD__FOLDZ=3\n")
    assert project.refused() == f".env: {nearest}"


def test_a_name_in_the_wrong_table_is_sent_to_the_right_one(project: Project) -> None:
    path = project.file("my.toml", "epochs = 3\n")
    assert project.refused(path) == (
        f"{path}: epochs is not a setting. Did you mean training.epochs?"
    )
    path = project.file("my.toml", "[trainign]\nepochs = 3\n")
    assert project.refused(path).endswith("trainign is not a setting. Did you mean training?")
    path = project.file("my.toml", "training = 3\n")
    assert project.refused(path) == f"{path}: training is a table; write [training] above it."


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[training]\nepochs = 0\n", "training.epochs: Input should be greater than or equal to 1"),
        ("[training]\nepochs = 'many'\n", "(got 'many')"),
        ("[target]\nnames = ['price']\n", "target.names.0: Input should be 'return', 'direction'"),
        ("[market]\nsymbols = ['BTC/USDT']\n", "'BTC/USDT' is not an asset in upper case; a pair"),
        ("[market]\nsymbols = ['MARKET']\n", "MARKET is reserved"),
        ("[market]\ninterval = '1hour'\n", "market.interval"),
        ("[target]\nhorizons = []\n", "horizons are whole numbers of bars, at least 1"),
    ],
)
def test_a_value_out_of_range_names_file_setting_and_value(
    project: Project, text: str, message: str
) -> None:
    path = project.file("my.toml", text)
    refused = project.refused(path)
    assert refused.startswith(f"{path}: ")
    assert message in refused


def test_every_fault_is_named_with_its_own_origin(project: Project) -> None:
    path = project.file("my.toml", "[training]\nepochs = 0\n")
    refused = project.refused(path, training__seeds=0)
    assert f"{path}: training.epochs" in refused
    assert "flag: training.seeds" in refused


def test_files_that_cannot_be_read(project: Project) -> None:
    gone = project.folder / "gone.toml"
    assert project.refused(gone) == f"{gone} cannot be read: No such file or directory."
    broken = project.file("broken.toml", "[training\n")
    assert project.refused(broken).startswith(f"{broken} is not valid TOML: ")
    (project.folder / "latin.toml").write_bytes(b"# caf\xe9\n")
    assert "latin.toml is not valid TOML" in project.refused(project.folder / "latin.toml")


def test_the_environment_speaks_json_for_lists(project: Project) -> None:
    environ = {"MOODTAPE__MARKET__SYMBOLS": '["BTC", "ETH"]', "moodtape__seed": "11"}
    settings = project.load(environ=environ)
    assert settings.config.market.symbols == ("BTC", "ETH")
    assert settings.config.seed == 11
    refused = project.refused(environ={"MOODTAPE__MARKET__SYMBOLS": "BTC,ETH"})
    assert refused.startswith("environment: ")
    assert """MOODTAPE__MARKET__SYMBOLS='["BTC", "ETH"]'""" in refused


@pytest.mark.parametrize("margin", [0, -0.005, 5])
def test_a_margin_is_a_share_of_a_loss(project: Project, margin: float) -> None:
    path = project.file("mine.toml", f"[verdict.margin]\nreturn = {margin}\n")
    assert "verdict.margin" in project.refused(path)


def test_tables_of_names_are_merged_not_replaced(project: Project) -> None:
    project.file(PROJECT_FILE, '[market.venue]\nBTC = "binance"\n')
    more = project.file(
        "more.toml", '[market.venue]\nETH = "kraken"\n[verdict.margin]\nreturn = 1\n'
    )
    settings = project.load(more)
    assert settings.config.market.venue == {"BTC": "binance", "ETH": "kraken"}
    assert settings.config.verdict.margin == {"return": 1, "direction": 0.003, "volatility": 0.01}
    assert origin(settings, "verdict.margin")[1] == str(more)


def test_arms_come_from_files(project: Project) -> None:
    arm = project.file("arms.toml", '[[arm]]\nname = "mine"\ngroups = ["price"]\n')
    settings = project.load(arm)
    assert [a.name for a in settings.config.arm] == ["mine"]
    assert origin(settings, "arm")[1] == str(arm)
    wrong = project.file("arms.toml", '[[arm]]\nname = "mine"\ngroup = ["price"]\n')
    assert f"{wrong}: arm.0.groups: Field required" in project.refused(wrong)


def test_the_project_is_found_upward(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    assert find_project(deep) is None
    (tmp_path / PROJECT_FILE).touch()
    assert find_project(deep) == tmp_path
    monkeypatch.chdir(deep)
    assert find_project(Path()) == tmp_path
    (deep / PROJECT_FILE).touch()
    assert find_project(deep) == deep


def test_paths_lie_in_the_project(project: Project) -> None:
    settings = project.load(project__warehouse="data/w.duckdb")
    assert settings.warehouse == project.folder / "data" / "w.duckdb"
    assert settings.runs == project.folder / "runs"
    assert settings.staging == project.folder / "raw" / "staging"
    outside = project.load(project__warehouse="/data/w.duckdb")
    assert outside.warehouse == Path("/data/w.duckdb")


def test_the_shipped_files_are_valid(project: Project) -> None:
    folder = Path(__file__).parents[1] / "configs"
    names = sorted(path.name for path in folder.glob("*.toml"))
    assert "ablation.toml" in names
    for name in names:
        assert bundled_config(name) == (folder / name).read_text(encoding="utf-8")
        if name != "ablation.toml":  # that one has presets beside its arms, and its own reader
            project.load(folder / name)


def test_every_setting_says_what_it_means() -> None:
    for name, section in Config.model_fields.items():
        for key, info in getattr(section.annotation, "model_fields", {}).items():
            assert info.description, f"{name}.{key} has no description"
