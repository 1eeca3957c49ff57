"""Where a project keeps its things, what it forecasts, and how files become rows."""

from __future__ import annotations

from pydantic import Field, field_validator

from moodtape.config.section import Section
from moodtape.records import MARKET_SYMBOL


class ProjectSection(Section):
    """Where the project keeps its things, relative to the folder of `moodtape.toml`."""

    warehouse: str = Field("moodtape.duckdb", description="the DuckDB file")
    runs: str = Field("runs", description="folder of run folders")
    raw: str = Field("raw", description="folder of raw payloads and staging files")


class StorageSection(Section):
    """The database session."""

    threads: int = Field(2, ge=1, le=256, description="DuckDB threads")
    memory_limit: str = Field("2GB", description="DuckDB memory limit")
    lock_wait_s: float = Field(30, ge=0, description="seconds to wait for another writer")


class ClockSection(Section):
    """When things count as known."""

    decision_delay_s: int = Field(120, ge=0, description="seconds from a bar's close to a decision")
    late_after_s: int = Field(900, ge=0, description="a live forecast made later is `late`")
    max_age_h: float = Field(6, gt=0, description="older texts at first sight only raise n_stale")
    news_delay_min: float = Field(
        90, ge=0, description="minutes from publication to known, archive news without a stamp"
    )
    post_delay_min: float = Field(
        15, ge=0, description="minutes from publication to known, archive posts without a stamp"
    )


class MarketSection(Section):
    """What is forecast."""

    symbols: tuple[str, ...] = Field(("BTC",), description="assets, upper case, never a pair")
    interval: str = Field("1h", pattern=r"^\d+(min|m|h|d|w)$", description="length of a bar")
    calendar: str = Field("24/7", description="`24/7` or an exchange code such as `XNYS`")
    venue: dict[str, str] = Field({}, description="venue by symbol, where several are stored")
    quote: dict[str, str] = Field({}, description="quote currency by symbol, likewise")

    @field_validator("symbols")
    @classmethod
    def _symbols_are_assets(cls, symbols: tuple[str, ...]) -> tuple[str, ...]:
        for symbol in symbols:
            if not symbol or symbol != symbol.upper() or "/" in symbol or symbol == MARKET_SYMBOL:
                raise ValueError(
                    f"{symbol!r} is not an asset in upper case; a pair such as BTC/USDT is"
                    f" symbol BTC with quote USDT, and {MARKET_SYMBOL} is reserved"
                )
        return symbols


class ImportsSection(Section):
    """How files become rows."""

    metric_lag: str = Field(
        "6h", description="period end to known, for metrics of a provider that is not listed"
    )
    max_field_kib: int = Field(256, ge=1, description="KiB; a longer field is quarantined")
    max_title_chars: int = Field(2_000, ge=50, description="longer titles are cut")
    max_body_chars: int = Field(10_000, ge=50, description="longer bodies are cut")
    map: dict[str, str] = Field({}, description="our column = the file's column")
