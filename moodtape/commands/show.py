"""`status`, `config show` and `models evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from moodtape.commands.console import note, print_json, print_table, say
from moodtape.commands.options import ConfigFiles, DeviceName, Json, Project, device_of, settings_of

config_app = typer.Typer(help="See the settings.", no_args_is_help=True)
models_app = typer.Typer(help="Look at scorers.", no_args_is_help=True)


def status(
    with_gaps: Annotated[
        bool, typer.Option("--gaps", help="Say which stretches are missing.")
    ] = False,
    config: ConfigFiles = None,
    project: Project = None,
    as_json: Json = False,
) -> None:
    """Say what is stored, how far it reaches, what is unscored, what ran last and what is overdue.

    Ends with 3 where a rhythm that has run, or a source that has answered, has not for long.
    """
    from datetime import timedelta

    from moodtape.clock import utc_now
    from moodtape.errors import DataStale
    from moodtape.nightly.watch import standing
    from moodtape.storage.summary import gaps
    from moodtape.study.project import warehouse_of

    settings = settings_of(project, config)
    state = standing(settings, utc_now())
    found, model, late = state.found, state.model, state.late
    missing = None
    if with_gaps:
        longest = timedelta(minutes=settings.config.news.max_poll_gap_min)
        with warehouse_of(settings).read() as connection:
            missing = gaps(connection, longest)
    if as_json:
        _print_status_json(found, missing, model, late)
        if late:
            raise DataStale(" ".join(late))
        return
    say(f"{settings.warehouse}, {settings.warehouse.stat().st_size / 2**20:,.1f} MiB")
    for title, columns in _TABLES.items():
        if found[title]:
            say(f"\n{title}")
            print_table(found[title], dict(zip(columns, columns, strict=True)))
    if model is not None:
        until = f"{model['trained_until']:%Y-%m-%d %H:%M}"
        say(
            f"\nmodel in use\n{model['run']}, trained until {until}, {model['age_days']:,} days ago"
        )
        if (decision := model["last_decision"]) is not None:
            say(f"the last new one was {decision['word']} on {decision['decided_at']:%Y-%m-%d}:"
                f" {decision['why']}")  # fmt: skip
    _print_drift(found["drift"])
    if missing is not None:
        _print_gaps(missing)
    waiting = sum(row["unscored"] for row in found["scorers"])
    if found["texts"] and (waiting or not found["scorers"]):
        note("\nThere are texts without a score. Run: moodtape score")
    if late:
        raise DataStale("\n".join(late))


_TABLES = {
    "bars": ("symbol", "venue", "quote", "interval", "bars", "missing", "corrections", "first",
             "last"),
    "metrics": ("provider", "symbol", "metrics", "values", "first", "last"),
    "texts": ("source", "collection", "texts", "revisions", "promotion", "first", "last"),
    "polls": ("collector", "stream", "state", "last_poll", "last_good"),
    "hosts": ("host", "state", "failures", "until", "why"),
    "spend": ("provider", "month", "usd", "calls", "unsettled"),
    "scorers": ("name", "scored", "unscored", "trained_until", "scorer"),
    "forecasts": ("state", "forecasts"),
    "skill": ("symbol", "horizon_bars", "target", "n", "skill", "low", "high", "until"),
    "quarantine": ("source", "reason", "rows"),
    "steps": ("rhythm", "step", "state", "last_done", "seconds"),
    "runs": ("run_id", "command", "status", "started_at", "finished_at"),
}  # fmt: skip


def _print_drift(drift: list[dict[str, Any]]) -> None:
    """Print what the monitors said in the last night, and the last alarm where it is another."""
    for number, row in enumerate(drift):
        if number and row["night"] == drift[0]["night"]:
            continue
        score = "" if row["score"] is None else f", {row['score']:.2f} of the threshold"
        title = "the last alarm" if number else "\ndrift"
        say(f"{title}\n{row['night']:%Y-%m-%d %H:%M} {row['word']}{score}: {row['what']}")


SHOWN_GAPS = 40


def _print_gaps(missing: list[dict[str, Any]]) -> None:
    say("\ngaps")
    columns = ("kind", "origin", "series", "since", "until", "missing", "why")
    print_table(missing[:SHOWN_GAPS], dict(zip(columns, columns, strict=True)))
    if len(missing) > SHOWN_GAPS:
        say(f"... and {len(missing) - SHOWN_GAPS:,} more; all of them with --json")
    if not missing:
        say("none")


def _print_status_json(
    found: dict[str, list[dict[str, Any]]],
    missing: list[dict[str, Any]] | None,
    model: dict[str, Any] | None,
    late: list[str],
) -> None:
    """Print what is stored under the names that other tools build on."""
    import json

    gaps = [
        {"kind": "bars", **{k: row[k] for k in ("symbol", "venue", "quote", "interval", "missing")}}
        for row in found["bars"]
        if row["missing"]
    ]
    values = {
        "schema_version": 1,
        "command": "status",
        "warnings": late,
        "sources": {
            k: found[k] for k in ("bars", "metrics", "texts", "polls", "scorers", "quarantine")
        },
        "hosts": found["hosts"],
        "gaps": gaps if missing is None else missing,
        "last_runs": found["runs"],
        "skill": found["skill"] or None,
        "forecasts": {row["state"]: row["forecasts"] for row in found["forecasts"]},
        "champion": model,
        "drift": {
            "last": found["drift"][0] if found["drift"] else None,
            "last_alarm": next((r for r in found["drift"] if r["word"] == "alarm"), None),
        },
        "steps": found["steps"],
        "overdue": late,
        "budget": found["spend"] or None,
    }
    say(json.dumps(values, indent=1, default=lambda value: value.isoformat()))


@config_app.command("show")
def show(config: ConfigFiles = None, project: Project = None, as_json: Json = False) -> None:
    """Print every setting with its value and where it was set."""
    from moodtape.settings import describe

    settings = settings_of(project, config)
    rows = describe(settings)
    if as_json:
        print_json({"schema_version": 1, "command": "config show", "warnings": [],
                    "results": rows})  # fmt: skip
        return
    print_table(
        [{**row, "value": _toml(row["value"])} for row in rows],
        {"name": "setting", "value": "value", "origin": "origin"},
    )


def _toml(value: Any) -> str:
    """Return a value as one would write it in the file."""
    import json

    plain = list(value) if isinstance(value, tuple) else value
    return json.dumps(plain, ensure_ascii=False, default=str)


@models_app.command("evaluate")
def evaluate(
    labelled: Annotated[Path, typer.Argument(help="Parquet with text, and label and/or score.")],
    scorer: Annotated[str | None, typer.Option(help="bundled or lexicon.")] = None,
    device: DeviceName = None,
    config: ConfigFiles = None,
    project: Project = None,
    as_json: Json = False,
) -> None:
    """Say how well a scorer agrees with labels of your own; `auto` is the CPU here."""
    from moodtape.nlp.evaluate import evaluate as compare
    from moodtape.nlp.evaluate import read_labelled
    from moodtape.nlp.registry import load_scorer, scorer_id

    settings = settings_of(
        project, config, {"sentiment.scorer": scorer, "sentiment.device": device}
    )
    sentiment = settings.config.sentiment
    threads = settings.config.storage.threads
    chosen = load_scorer(sentiment.scorer, threads, device_of(settings))
    result = compare(chosen, read_labelled(labelled))
    if as_json:
        print_json({"schema_version": 1, "command": "models evaluate", "warnings": [],
                    "scorer": scorer_id(chosen), **result})  # fmt: skip
        return
    say(f"{scorer_id(chosen)} on {result['n']:,} texts")
    for name in ("accuracy", "macro_f1", "spearman", "expected_calibration_error"):
        if result[name] is not None:
            say(f"  {name.replace('_', ' ')}: {result[name]:.3f}")
    if result["confusion"]:
        say("  rows: true label; columns: what the scorer said")
        labels = list(result["confusion"])
        rows = [{"label": label, **result["confusion"][label]} for label in labels]
        print_table(rows, {"label": "", **{label: label for label in labels}})
