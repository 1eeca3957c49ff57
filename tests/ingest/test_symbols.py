"""Which assets a text is about: names, tickers in capitals, cashtags, subreddits."""

from __future__ import annotations

import pytest

from moodtape.ingest.symbols import load_aliases


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("bitcoin is up", {"BTC": "name"}),
        ("Bitcoin Cash and BITCOIN", {"BCH": "name", "BTC": "name"}),
        ("BTC is up", {"BTC": "ticker"}),
        ("btc is up", {"MARKET": "none"}),
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
        text = f"a token: {name}, no more"
        assert symbol in aliases.mentions(text), name
    assert len(aliases.version) == 12
