from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

import moodtape
from moodtape.errors import GateFailed, SourceFailed, WarehouseLocked


def contents(project: Path) -> dict[str, list[Any]]:
    """Return every row of the warehouse, without the ledgers of runs."""
    with duckdb.connect(str(project / "moodtape.duckdb"), read_only=True) as connection:
        tables = [
            row[0]
            for row in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()
        ]
        return {
            table: sorted(map(repr, connection.execute(f"SELECT * FROM {table}").fetchall()))
            for table in tables
            if table not in ("run", "trial")
        }


def test_help_names_every_verb(run: Callable[..., Any]) -> None:
    done = run("--help")
    assert done.code == 0
    for verb in ("import", "score", "train", "evaluate", "ablate", "predict", "audit", "demo"):
        assert f"\n  {verb} " in done.out, verb
    assert run("--version").out.strip() == f"moodtape {moodtape.__version__}"


def test_a_wrong_verb_is_named(run: Callable[..., Any]) -> None:
    done = run("scroe")
    assert done.code == 2
    assert "scroe" in done.err


def test_worlds_have_no_fewer_than_no_planted_effects(
    tmp_path: Path, run: Callable[..., Any]
) -> None:
    """Minus one would count as found, and `does not help` could be said of anything."""
    out = tmp_path / "worlds.csv"
    done = run("calibrate", "--planted-draws", -1, "--kind", "nothing", "--out", out)
    assert done.code == 2
    assert "--planted-draws" in done.err
    assert not out.exists()


def test_init_makes_a_project_once(tmp_path: Path, run: Callable[..., Any]) -> None:
    folder = tmp_path / "mine"
    done = run("init", folder, "--symbol", "eth")
    assert done.code == 0
    assert 'symbols = ["ETH"]' in (folder / "moodtape.toml").read_text()
    again = run("init", folder)
    assert again.code == 2
    assert "exists; nothing was changed" in again.err
    pair = run("init", tmp_path / "pair", "--symbol", "BTC/USDT")
    assert pair.code == 2
    assert "a pair such as BTC/USDT is symbol BTC" in pair.err
    assert not (tmp_path / "pair").exists()


def test_a_file_without_its_kind_is_asked_for_it(
    project: Path, tmp_path: Path, run: Callable[..., Any]
) -> None:
    file = tmp_path / "my bars.csv"
    file.write_text("")
    done = run("import", str(file), "--project", project)
    assert done.code == 2
    assert "Say one of bars, metrics, documents" in done.err
    assert f"moodtape import bars '{file}'" in done.err


def test_what_is_no_plan_is_refused_and_leaves_no_run(
    loaded: Path, run: Callable[..., Any]
) -> None:
    (loaded / "plan.json").write_text("{}")
    done = run("ablate", "--project", loaded, "--plan", loaded / "plan.json")
    assert done.code != 0
    assert "is no plan of a study" in done.err
    assert not list((loaded / "runs").glob("*"))


def test_import_counts_and_knows_what_it_has(
    project: Path, files: Path, run: Callable[..., Any]
) -> None:
    arguments = ("import", "bars", files / "bars.csv", "--symbol", "BTC/USDT", "--json")
    first = json.loads(run(*arguments, "--project", project).out)
    assert first["schema_version"] == 1
    assert (first["new"], first["known"], first["quarantined"]) == (720, 0, 0)
    before = contents(project)
    second = json.loads(run(*arguments, "--project", project).out)
    assert (second["new"], second["known"], second["corrected"]) == (0, 720, 0)
    assert contents(project) == before
    status = json.loads(run("status", "--json", "--project", project).out)
    bars = status["sources"]["bars"]
    assert [(b["symbol"], b["quote"], b["bars"]) for b in bars] == [("BTC", "USDT", 720)]
    undone = run("import", "--undo", status["last_runs"][-1]["run_id"], "--project", project)
    assert undone.code == 0
    assert "720 from bar" in undone.out


def test_bad_rows_warn_and_good_ones_stay(
    project: Path, tmp_path: Path, run: Callable[..., Any]
) -> None:
    path = tmp_path / "odd.csv"
    path.write_text(
        "ts,open,high,low,close\n"
        "2025-01-01T00:00Z,1,2,0.5,1\n"
        "2025-01-01T01:00Z,1,0.5,2,1\n"
        "2025-01-01T02:00Z,1,2,-1,1\n"
    )
    done = run("import", "bars", path, "--symbol", "BTC", "--interval", "1h", "--project", project)
    assert done.code == 0
    assert "1 in quarantine: high is below low" in done.out
    assert "1 in quarantine: low is not above zero" in done.out
    assert "Warning: odd.csv: 2 rows are in quarantine" in done.err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("import", "bars", "nowhere.csv"), 2, "does not exist"),
        (("import", "bars", "{files}/news.csv", "--symbol", "BTC"), 2, "has no column for open"),
        (("import", "bars", "{files}/bars.csv"), 2, "Add: --symbol BTC"),
        (("import", "bars", "{files}/bars.csv", "--map", "x"), 2, "OURS=THEIRS"),
        (("import", "bars", "{files}/bars.csv", "--symbol", "B", "--map", "opn=a"), 2,
         "Did you mean open"),
        (("import",), 2, "Say what to import"),
        (("score", "--scorer", "bundeld"), 2, "Did you mean bundled?"),
        (("ablate", "--preset", "quik"), 2, "Did you mean quick?"),
        (("ablate", "--since", "soon"), 2, "is not an ISO date"),
        (("ablate", "--subject", "mood"), 2, "sentiment or onchain"),
        (("ablate",), 3, "There is no warehouse"),
        (("status",), 3, "moodtape demo"),
        (("predict",), 3, "Run: moodtape train"),
        (("report",), 3, "Run: moodtape ablate"),
        (("import", "--undo", "x"), 2, "is not an import"),
        (("config", "show", "-c", "nowhere.toml"), 2, "cannot be read"),
    ],
)  # fmt: skip
def test_what_went_wrong_is_one_line(
    arguments: tuple[str, ...], code: int, message: str, project: Path, files: Path,
    run: Callable[..., Any],
) -> None:  # fmt: skip
    done = run(*(a.format(files=files) for a in arguments), "--project", project)
    assert done.code == code, done.err
    assert message in done.err
    assert "Traceback" not in done.err


def test_an_unknown_setting_is_refused(project: Path, run: Callable[..., Any]) -> None:
    (project / "moodtape.toml").write_text("[training]\nepoch = 3\n")
    done = run("config", "show", "--project", project)
    assert done.code == 2
    assert "training.epoch is not a setting. Did you mean epochs?" in done.err


def test_the_wishful_clock_prints_an_effect_and_no_word(
    loaded: Path, run: Callable[..., Any]
) -> None:
    asked = ("audit", "--clock", "published_at", "--target", "return", "--project", loaded)
    done = run(*asked, "--json")
    assert done.code == 0, done.err
    results = json.loads(done.out)
    assert [row["clock"] for row in results["results"]] == ["known_at", "published_at"]
    assert "verdict" not in done.out
    printed = run(*asked)
    assert "look-ahead is worth" in printed.out
    assert not any(word in printed.out for word in moodtape_words())
    looked = duckdb.connect(str(loaded / "moodtape.duckdb"), read_only=True).execute(
        "SELECT DISTINCT forecaster, verdict FROM trial"
    )
    assert looked.fetchall() == [("linear", "evaluated")], "it is a look at the tested time"
    assert run("audit", "--clock", "now", "--project", loaded).code == 2
    assert run("audit", "--forecaster", "linear", "--project", loaded).code == 2
    wrong = run(*asked, "--forecaster", "linaer")
    assert wrong.code == 2
    assert "linear" in wrong.err


def test_config_show_says_where_each_value_is_from(
    project: Path, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOODTAPE__TRAINING__EPOCHS", "5")
    done = run("config", "show", "--json", "--project", project)
    rows = {row["name"]: row for row in json.loads(done.out)["results"]}
    assert rows["training.epochs"]["value"] == 5
    assert rows["training.epochs"]["origin"] == "environment"
    assert rows["training.seeds"]["origin"].endswith("moodtape.toml")
    assert rows["clock.max_age_h"] == {
        "name": "clock.max_age_h", "value": 6.0, "origin": "default",
    }  # fmt: skip


def test_a_study_from_files_to_page(
    loaded: Path, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOODTAPE__ABLATION__CLOCK_DELAYS_MIN", "[15]")
    done = run("ablate", "--json", "--project", loaded)
    assert done.code == 0, done.err
    results = json.loads(done.out)
    folder = loaded / "runs" / results["run"]
    assert {a["target"] for a in results["results"]} == {"return", "direction", "volatility"}
    assert all(a["verdict"] in moodtape_words() for a in results["results"])
    assert results["audit"]["clean"]
    assert results["texts_used"] == 720
    names = {p.name for p in folder.iterdir()}
    assert {"plan.json", "results.json", "config.json", "report.html", "answers.csv"} <= names
    assert json.loads((folder / "results.json").read_text()) == results
    planned = hashlib.sha256((folder / "plan.json").read_bytes()).hexdigest()
    assert planned.startswith(results["provenance"]["plan"])
    page = (folder / "report.html").read_text()
    assert page.startswith("<!doctype html>")
    forecasts = pd.read_parquet(folder / "predictions.parquet")
    arms = {"full", "null", "shift", "echo", "planted"}
    assert arms | {"persistence", "reversal"} <= set(forecasts["arm"])
    assert results["deviations"] == []
    assert f"<code>{results['provenance']['plan']}</code>" in page
    printed = run("ablate", "--project", loaded, "--plan", folder / "plan.json")
    assert "sentiment" in printed.out
    assert "Page: " in printed.out
    plan = results["provenance"]["plan"]
    assert f"Plan: {plan}, written before any test row was read, kept." in printed.out
    second = json.loads(max((loaded / "runs").glob("*/results.json")).read_text())
    for one, two in zip(results["results"], second["results"], strict=True):
        assert one["losses"] == two["losses"], "the same study gave other losses"
    clocks = [row for row in results["clocks"] if row["target"] == "return"]
    assert [row["delay_min"] for row in clocks] == [0, None, 15, 60]
    by_target = {a["target"]: a["effect"] for a in results["results"]}
    assert clocks[0]["effect"] == by_target["return"], "the stored clock is the study's own"
    assert (folder / "clocks.csv").read_text().count("\n") == 1 + 12
    again = run("report", "--run", results["run"], "--project", loaded)
    assert Path(again.out.strip()).read_text() == page
    (folder / "series_gate.parquet").unlink()
    older = run("report", "--run", results["run"], "--project", loaded)
    assert Path(older.out.strip()).read_text() == page, "runs of before gates were kept have none"


def test_the_number_of_texts_is_a_second_line(
    loaded: Path, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOODTAPE__ABLATION__CLAIMS", '["tone", "attention"]')
    done = run("ablate", "--project", loaded, "--target", "return")
    assert done.code == 0, done.err
    assert "A second line, beside the first: how many texts there were" in done.out
    folder = max((loaded / "runs").glob("2*"))
    results = json.loads((folder / "results.json").read_text())
    (first,), (second,) = results["results"], results["attention"]
    assert first["family_size"] == second["family_size"] == 2
    assert second["report"] == first["report"]
    assert second["sentence"] in done.out
    page = (folder / "report.html").read_text()
    assert page.index("A second line: how many texts there were") > page.index("In words")
    assert "number of texts" not in page[page.index("<h1>") : page.index("</h1>")]
    assert len((folder / "attention.csv").read_text().splitlines()) == 2
    with duckdb.connect(str(loaded / "moodtape.duckdb"), read_only=True) as connection:
        rows = connection.execute("SELECT claim, verdict FROM trial ORDER BY claim").fetchall()
    assert rows == [("attention", second["verdict"]), ("tone", first["verdict"])]
    again = run("ablate", "--project", loaded, "--target", "return", "--json")
    assert json.loads(again.out)["attention"][0]["look"] == 1, "a rerun"


def test_an_arm_of_ones_own_is_five_lines_of_toml(loaded: Path, run: Callable[..., Any]) -> None:
    settings = loaded / "moodtape.toml"
    text = settings.read_text().replace("also = []", 'also = []\narms = ["full", "null", "shift",'
        ' "echo", "mine"]')  # fmt: skip
    own = '[[arm]]\nname = "mine"\ngroups = ["all"]\nkinds = ["unknown"]\nscorer = "lexicon"\n'
    assert own.count("\n") == 5
    settings.write_text(text + own)
    done = run("ablate", "--json", "--project", loaded, "--target", "return")
    assert done.code == 0, done.err
    results = json.loads(done.out)
    (answer,) = results["results"]
    assert list(answer["beside"]) == ["mine"]
    # Nothing told kinds here and the scorer is the study's: these are the texts of the study.
    assert answer["beside"]["mine"]["effect"] == answer["effect"]
    (row,) = (arm for arm in results["arms"] if arm["name"] == "mine")
    assert (row["kinds"], row["scorer"]) == (["unknown"], "lexicon")
    page = (loaded / "runs" / results["run"] / "report.html").read_text()
    assert "texts of the kind unknown alone; scored by lexicon" in page


@pytest.mark.slow
def test_a_night_later_the_last_word_stands_and_a_quarter_later_there_is_another(
    loaded: Path, run: Callable[..., Any]
) -> None:
    def ask(until: str) -> dict[str, Any]:
        done = run(
            *("ablate", "--json", "--target", "return", "--until", until, "--project", loaded)
        )
        assert done.code == 0, done.err
        [answer] = json.loads(done.out)["results"]
        return dict(answer)

    first, night, quarter = ask("2025-01-24"), ask("2025-01-25"), ask("2025-01-29")
    assert first["last_word"] is None
    assert night["last_word"]["run"] == first["run"]
    assert night["verdict"] == first["verdict"]
    assert "as said on" in night["sentence"]
    assert quarter["last_word"] is None
    assert quarter["look"] == 2, "the night between was no look"
    assert quarter["level"] == pytest.approx(0.025 / 6)
    rows = duckdb.connect(str(loaded / "moodtape.duckdb"), read_only=True).execute(
        "SELECT run_id FROM trial ORDER BY test_until"
    )
    assert rows.fetchall() == [(first["run"],), (quarter["run"],)]


def moodtape_words() -> tuple[str, ...]:
    from moodtape.forecaster.verdict import WORDS

    return WORDS


def test_texts_without_a_score_stop_a_study(
    project: Path, files: Path, run: Callable[..., Any]
) -> None:
    where = ("--project", project, "-q")
    run("import", "bars", files / "bars.csv", "--symbol", "BTC", *where)
    run("import", "documents", files / "news.csv", *where)
    done = run("ablate", *where)
    assert done.code == 3
    assert "720 texts" in done.err
    assert "Run: moodtape score" in done.err


def test_the_audit_finds_nothing_on_a_clean_line(loaded: Path, run: Callable[..., Any]) -> None:
    done = run("audit", "--cuts", "2", "--json", "--project", loaded)
    assert done.code == 0, done.err
    result = json.loads(done.out)
    assert result["clean"]
    assert result["offenders"] == []
    assert result["checked"] > 1000


def test_evaluate_always_shows_persistence(loaded: Path, run: Callable[..., Any]) -> None:
    done = run("evaluate", "--json", "--project", loaded)
    assert done.code == 0, done.err
    rows = json.loads(done.out)["results"]
    assert set(rows[0]) == {
        *("symbol", "horizon_bars", "target", "model", "metric", "regime"),
        *("value", "low", "high", "n"),
    }
    for target in ("return", "direction", "volatility"):
        models = {r["model"] for r in rows if r["target"] == target}
        assert {"persistence", "base rate", "linear null"} <= models, target
    skill = [r for r in rows if r["metric"] == "skill against persistence"]
    assert all(r["value"] == 0 for r in skill if r["model"] == "persistence")
    assert all(r["low"] <= r["value"] <= r["high"] for r in skill)
    with duckdb.connect(str(loaded / "moodtape.duckdb"), read_only=True) as connection:
        looked = connection.execute("SELECT DISTINCT verdict FROM trial").fetchall()
    assert looked == [("evaluated",)], "losses were shown: a look"


@pytest.mark.filterwarnings("ignore")  # exporters warn about their own internals
def test_train_then_predict_without_tensorflow(loaded: Path, run: Callable[..., Any]) -> None:
    trained = run("train", "--json", "--project", loaded)
    assert trained.code == 0, trained.err
    result = json.loads(trained.out)
    assert result["servable"]
    assert result["onnx_gap"] < 1e-5
    code = (
        "import sys; from moodtape.cli import main\n"
        "sys.argv = ['moodtape', 'predict', '--explain', '--json',"
        f" '--project', {str(loaded)!r},"
        " '--as-of', '2025-02-05T00:05Z']\n"
        "try: main()\n"
        "except SystemExit as end: assert end.code == 0, end.code\n"
        "heavy = {'tensorflow', 'keras', 'torch', 'transformers'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    forecast = json.loads(done.stdout)["results"][0]
    assert forecast["symbol"] == "BTC"
    assert forecast["cutoff"] == "2025-02-05T00:00:00+00:00"
    assert forecast["decision_time"] == "2025-02-05T00:02:00+00:00"
    assert 0 < forecast["p_up"] < 1
    quantiles = list(forecast["quantiles"].values())
    assert quantiles == sorted(quantiles)
    assert forecast["run"] == result["run"]
    assert forecast["explanation"]["gate"] == forecast["gate"]
    stale = run("predict", "--project", loaded)
    assert stale.code == 3
    assert "--as-of" in stale.err


def test_models_evaluate_reads_labels(
    project: Path, tmp_path: Path, run: Callable[..., Any]
) -> None:
    path = tmp_path / "labels.parquet"
    texts = ["Bitcoin soars to a record", "Exchange hacked, funds stolen", "A meeting is held"]
    labels = ["positive", "negative", "neutral"]
    pd.DataFrame({"text": texts, "label": labels}).to_parquet(path)
    done = run("models", "evaluate", path, "--scorer", "lexicon", "--json", "--project", project)
    assert done.code == 0, done.err
    result = json.loads(done.out)
    assert (result["n"], result["accuracy"]) == (3, 1.0)
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 nothing")
    done = run("models", "evaluate", broken, "--project", project)
    assert done.code == 2
    assert "cannot be read" in done.err


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (KeyboardInterrupt(), 130, "Interrupted. Nothing is half-stored"),
        (RuntimeError("odd"), 1, "Unexpected failure: RuntimeError: odd. Run it with --debug"),
        (GateFailed("a gate"), 4, "a gate"),
        (SourceFailed("a source"), 5, "a source"),
        (WarehouseLocked("a lock"), 6, "a lock"),
    ],
)
def test_every_failure_has_its_exit_code(
    error: BaseException, code: int, message: str, project: Path, run: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr("moodtape.pipeline.score_texts", fail)
    done = run("score", "--project", project)
    assert done.code == code
    assert message in done.err
    assert "Traceback" not in done.err


def test_debug_shows_the_trace(
    project: Path, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOODTAPE_DEBUG", "1")
    done = run("status", "--project", project)
    assert done.code == 3
    assert "Traceback" in done.err
