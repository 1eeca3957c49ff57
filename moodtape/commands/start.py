"""`moodtape init`: a project's folder with commented settings and a list of keys."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from moodtape.commands.console import print_json, print_table, say
from moodtape.commands.options import Json
from moodtape.errors import UsageError

PROJECT_TEXT = """\
# A Moodtape project. Every setting has a default; see them all with: moodtape config show

[market]
symbols = [{symbols}]
interval = "1h"

# What `moodtape ingest` asks. None of these needs a key; `reddit` can be asked, too.
[ingest]
sources = ["news", "bars", "onchain", "indices"]

# A mail or page by which a provider can reach you; part of every request.
[http]
# contact = "you@example.org"

# Your own list of feeds, beside this file; another list is another collection.
[news]
# feeds = "feeds.toml"
# collection = "my_feeds"

# Binance's pair of {symbol} is {symbol}USDT with this quote currency; how far back the first
# poll goes.
[bars]
# quote = "USDT"
# first_days = 365

# Posts: by Reddit's public feeds without a key; `api` needs the keys of .env.example.
[reddit]
# access = "feed"
# subreddits = ["CryptoCurrency", "Bitcoin", "ethereum"]

# X is paid by use; nothing is asked until there is a budget and a key.
[x]
# daily_budget_usd = 1.0
# monthly_budget_usd = 10.0
# queries = {{ {symbol} = "${symbol} lang:en -is:retweet" }}
"""

KEYS_TEXT = """\
# Keys of sources. Copy this file to .env, keep it to yourself (chmod 600 .env), and fill in what
# you have. Each is read from the environment first. None is needed for a first run.
"""

IGNORED = """\
.env
moodtape.duckdb*
raw/
runs/
backups/
nights/
.moodtape/
heartbeat.json
signals.json
"""

NEXT = """\
Made {folder}. Next:
  cd {folder}
  moodtape ingest                                 (bars, news and metrics; no key is needed)
  moodtape import bars FILE --symbol {symbol}
  moodtape import documents FILE
  moodtape score
  moodtape ablate --symbol {symbol}
"""


def init(
    folder: Annotated[Path, typer.Argument(help="Folder of the project.")] = Path(),
    symbol: Annotated[
        list[str] | None, typer.Option("--symbol", help="Asset such as BTC; may be repeated.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Begin a project: a folder with commented settings, and say which sources work at once."""
    from moodtape.settings import PROJECT_FILE, load_settings

    symbols = [s.upper() for s in symbol or ["BTC"]]
    path = folder / PROJECT_FILE
    if path.exists():
        raise UsageError(f"{path} exists; nothing was changed.")
    load_settings(folder, (), {"market.symbols": symbols})  # refuses what is no asset
    folder.mkdir(parents=True, exist_ok=True)
    _write_if_absent(folder / ".env.example", _keys_text())
    _write_if_absent(folder / ".gitignore", IGNORED)
    quoted = ", ".join(f'"{s}"' for s in symbols)
    path.write_text(PROJECT_TEXT.format(symbols=quoted, symbol=symbols[0]), encoding="utf-8")
    rows = [_told(facts) for facts in _facts()]
    if as_json:
        print_json({"schema_version": 1, "command": "init", "warnings": [],
                    "folder": str(folder), "symbols": symbols, "sources": rows})  # fmt: skip
        return
    say(NEXT.format(folder=folder, symbol=symbols[0]))
    print_table(rows, {"source": "source", "asked": "asked", "needs": "needs", "brings": "brings"})


def _facts() -> Any:
    from moodtape.ingest.catalogue import source_facts

    return source_facts()


def _told(facts: Any) -> dict[str, str]:
    """Return what a source needs, in words."""
    from moodtape.config import IngestSection

    needs = [f'pip install "moodtape[{facts.extra}]"'] if facts.extra else []
    needs += [", ".join(facts.keys)] if facts.keys else []
    always = facts.name in IngestSection().sources
    more = facts.optional_keys and not always
    optional = f"nothing; more with {facts.optional_keys[0]}" if more else "nothing"
    return {
        "source": facts.name,
        "asked": "always" if always else "if named",
        "needs": ", ".join(needs) or optional,
        "brings": facts.brings,
    }


def _keys_text() -> str:
    """Return the example of a file of keys, every key commented out."""
    from moodtape.ingest.catalogue import key_facts

    lines = [f"\n# {about}\n# {name}=\n" for name, about in key_facts().items()]
    return KEYS_TEXT + "".join(lines)


def _write_if_absent(path: Path, text: str) -> None:
    if not path.exists():
        path.write_text(text, encoding="utf-8")
