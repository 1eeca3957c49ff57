"""Where numbers come from: exchanges and what they publish, on-chain metrics, indices."""

from __future__ import annotations

import re

from pydantic import Field, field_validator

from moodtape.config.section import Section


class BarsSection(Section):
    """Bars of an exchange, without a key."""

    venue: str = Field(
        "binance",
        pattern=r"^(binance|coinbase|kraken|coindesk|ccxt:[a-z0-9_]+)$",
        description="`binance`, `coinbase`, `kraken`, `coindesk`, or `ccxt:NAME` for any other",
    )
    base_url: str = Field("", description="where it is asked; empty: the venue's own address")
    quote: str = Field(
        "",
        description="quote currency where `market.quote` names none; empty: USD of Coinbase,"
        " Kraken and CoinDesk, USDT of all others",
    )
    first_days: float = Field(365, gt=0, description="days fetched by the first poll")
    overlap_bars: int = Field(3, ge=1, description="stored bars read again, for corrections")
    grace_s: float = Field(10, ge=0, description="seconds from a bar's end until it is final")
    page: int = Field(1000, ge=1, le=2000, description="bars of one request, at most the venue's")


class DumpsSection(Section):
    """Binance's files of bars by month and day, each with its checksum, without a key."""

    base_url: str = Field("https://data.binance.vision", description="where they are fetched")
    first_days: float = Field(1095, gt=0, description="days fetched by the first run")
    recheck_months: int = Field(
        3, ge=0, description="newest months whose checksum is asked for again, since files change"
    )
    file_limit_mib: float = Field(64, gt=0, description="MiB of a file, unpacked")


class CoinGeckoSection(Section):
    """Prices, volumes and market values of CoinGecko as metrics; a key raises its limits."""

    base_url: str = Field("https://api.coingecko.com", description="where it is asked")
    coins: dict[str, str] = Field(
        {"BTC": "bitcoin", "ETH": "ethereum"}, description="CoinGecko's name of a coin, by symbol"
    )
    currency: str = Field("usd", pattern=r"^[a-z]{3,5}$", description="of the prices")
    first_days: float = Field(90, gt=0, le=365, description="days fetched by the first poll")

    @field_validator("coins")
    @classmethod
    def _coins_are_ids(cls, coins: dict[str, str]) -> dict[str, str]:
        for symbol, coin in coins.items():
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", coin):
                raise ValueError(f"{coin!r} of {symbol} is no API id; write it as the coin's page")
        return coins


class FundingSection(Section):
    """Funding rates of perpetual contracts, by ccxt (`exchanges` extra)."""

    exchange: str = Field("binanceusdm", pattern=r"^[a-z0-9_]+$", description="ccxt's name of it")
    base_url: str = Field("", description="where it is asked; empty: the exchange's own addresses")
    quote: str = Field("USDT", description="quote and settlement currency of the contracts")
    first_days: float = Field(365, gt=0, description="days fetched by the first poll")
    overlap_rates: int = Field(3, ge=1, description="stored rates read again at every poll")
    page: int = Field(1000, ge=1, le=1000, description="rates of one request")


class OnchainSection(Section):
    """Coin Metrics community data, without a key; for non-commercial use (CC BY-NC 4.0)."""

    base_url: str = Field("https://community-api.coinmetrics.io", description="where it is asked")
    metrics: tuple[str, ...] = Field(
        ("AdrActCnt", "TxCnt", "HashRate", "FeeTotNtv", "CapMVRVCur"),
        description="daily metrics to collect",
    )
    first_days: float = Field(3650, gt=0, description="days fetched by the first poll")
    overlap_days: int = Field(7, ge=1, description="stored days read again, for restatements")
    page: int = Field(1000, ge=1, le=10_000, description="rows of one request")


class IndicesSection(Section):
    """The Fear & Greed index of alternative.me, without a key."""

    base_url: str = Field("https://api.alternative.me", description="where it is asked")


class BlockchainSection(Section):
    """Daily charts of Bitcoin by blockchain.com, without a key."""

    base_url: str = Field("https://api.blockchain.info", description="where it is asked")
    charts: tuple[str, ...] = Field(
        ("n-transactions", "n-unique-addresses", "hash-rate", "transaction-fees"),
        description="names of charts, as in the address of their page",
    )
    first_days: float = Field(3650, gt=0, description="days fetched by the first poll")
    overlap_days: int = Field(7, ge=1, description="stored days read again, for restatements")

    @field_validator("charts")
    @classmethod
    def _charts_are_names(cls, charts: tuple[str, ...]) -> tuple[str, ...]:
        for chart in charts:
            if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", chart):
                raise ValueError(f"{chart!r} is no chart; write n-transactions")
        if len(set(charts)) < len(charts):
            raise ValueError("a chart is named twice")
        return charts


class MempoolSection(Section):
    """Hash rate, fees and block fees of Bitcoin by mempool.space or a node of your own."""

    base_url: str = Field("https://mempool.space", description="where it is asked")
    first_days: float = Field(
        1095, gt=0, description="days of the hash rate fetched by the first poll"
    )
