"""Which assets a text is about: names, tickers in capitals, cashtags, subreddits."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from moodtape.ingest.symbols import load_aliases


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("bitcoin is up", {"BTC": "name"}),
        ("Bitcoin Cash and BITCOIN", {"BCH": "name", "BTC": "name"}),
        ("BTC is up", {"BTC": "ticker"}),
        ("btc is up", {"BTC": "name"}),
        ("xrp is up", {"XRP": "name"}),
        ("link is up", {"MARKET": "none"}),
        ("#bnb #Bitcoin", {"BNB": "ticker", "BTC": "name"}),
        ("#one love", {"MARKET": "none"}),
        ("buy #one, a token", {"ONE": "ticker"}),
        ("$btc and $Eth", {"BTC": "cashtag", "ETH": "cashtag"}),
        ("#BTC!", {"BTC": "ticker"}),
        ("BTCUSDT WBTC BTC2", {"MARKET": "none"}),
        ("$100 for what", {"MARKET": "none"}),
        ("ether or ethereum", {"ETH": "name"}),
        ("whether together", {"MARKET": "none"}),
        ("go TO SOL today", {"MARKET": "none"}),
        ("SOL price today", {"SOL": "ticker"}),
        ("$SOL today", {"SOL": "cashtag"}),
        ("the LINK below", {"MARKET": "none"}),
        ("LINK and other altcoins", {"LINK": "ticker"}),
        ("a tether between growth and inflation", {"MARKET": "none"}),
        ("Tether between growth and inflation", {"USDT": "name"}),
        ("an avalanche buried the coin", {"AVAX": "name"}),
        ("the ripple effect reaches Ripple", {"XRP": "name"}),
        ("Sui generis", {"MARKET": "none"}),
        ("Sui stands still", {"MARKET": "none"}),
        ("Sui validators stand still", {"SUI": "name"}),
        ("DOGE cuts federal jobs", {"MARKET": "none"}),
        ("DOGE jumps as federal jobs fall", {"MARKET": "none"}),
        ("DOGE price jumps as federal jobs fall", {"DOGE": "ticker"}),
        ("shorts BTC on Hyperliquid", {"BTC": "ticker"}),
        ("outage on Hyperliquid", {"HYPE": "name"}),
        ("Hyperliquid and BTC", {"HYPE": "name", "BTC": "ticker"}),
        ("Bitcoin Pepe presale", {"MARKET": "none"}),
        ("stocks fell", {"MARKET": "none"}),
        ("", {"MARKET": "none"}),
    ],
)
def test_mentions(text: str, found: dict[str, str]) -> None:
    assert load_aliases().mentions(text) == found


def test_a_subreddit_speaks_only_for_a_text_that_names_nothing() -> None:
    aliases = load_aliases()
    assert aliases.mentions("it is over", "dogecoin") == {"DOGE": "outlet"}
    assert aliases.mentions("it is over", "BITCOIN") == {"BTC": "outlet"}
    assert aliases.mentions("ethereum is over", "dogecoin") == {"ETH": "name"}
    assert aliases.mentions("it is over", "CryptoCurrency") == {"MARKET": "none"}


def test_every_alias_leads_to_its_asset() -> None:
    aliases = load_aliases()
    for name, symbol in aliases.owner.items():
        # Beside a context word every name counts, and no hidden phrase swallows one.
        text = f"a token: {name}, no more"
        assert symbol in aliases.mentions(text), name
    assert len(aliases.version) == 12


def test_hard_lines_are_read_as_a_person_would() -> None:
    """Lines with tickers that are words, other tokens, places: labels/symbols.tsv."""
    path = Path(__file__).parents[2] / "labels" / "symbols.tsv"
    with path.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    assert len(lines) >= 400
    aliases, right, extra, missed = load_aliases(), 0, [], []
    for line in lines:
        meant = set(line["symbols"].split(",")) - {"MARKET"}
        found = set(aliases.mentions(line["text"])) - {"MARKET"}
        right += len(meant & found)
        extra += [(line["text"], symbol) for symbol in found - meant]
        missed += [(line["text"], symbol) for symbol in meant - found]
    assert right / (right + len(extra)) > 0.97, extra
    assert right / (right + len(missed)) > 0.97, missed
