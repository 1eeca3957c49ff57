"""The config schema: one frozen tree; every setting with its default, unit and range.

How files, environment and flags become this tree: `moodtape.settings`.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from moodtape.records import MARKET_SYMBOL

Fraction = Annotated[float, Field(gt=0, lt=1)]
TargetName = Literal["return", "direction", "volatility"]
MARGIN: dict[TargetName, float] = {"return": 0.005, "direction": 0.003, "volatility": 0.01}
TARGETS: tuple[TargetName, ...] = ("return", "direction", "volatility")


class Section(BaseModel):
    """A table of settings; unknown names are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


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


class IngestSection(Section):
    """Which sources `moodtape ingest` asks."""

    sources: tuple[str, ...] = Field(
        ("news", "bars", "onchain", "indices"), description="collectors, also those of plug-ins"
    )
    keep_answers_d: float = Field(
        30, ge=0, description="days that answers are kept for `ingest --replay`; 0 keeps none"
    )
    plugin: dict[str, dict[str, str]] = Field(
        {}, description="settings of plug-in collectors: [ingest.plugin.NAME]"
    )


class HttpSection(Section):
    """How every source is asked."""

    contact: str = Field(
        "", description="mail or page by which a provider can reach you; part of the User-Agent"
    )
    connect_timeout_s: float = Field(10, gt=0, description="seconds to reach a host")
    read_timeout_s: float = Field(30, gt=0, description="seconds of silence in an answer")
    deadline_s: float = Field(180, gt=0, description="seconds for a request with its retries")
    attempts: int = Field(4, ge=1, le=20, description="tries in all where a retry makes sense")
    backoff_s: float = Field(1, ge=0, description="longest first wait; it doubles each time")
    backoff_limit_s: float = Field(60, ge=0, description="longest wait of our own choice")
    retry_after_limit_s: float = Field(
        120, ge=0, description="a provider that asks for a longer wait is left for this run"
    )
    spacing_s: float = Field(1, ge=0, description="seconds between requests to one host")
    body_limit_mib: float = Field(10, gt=0, description="MiB of an answer, unpacked")
    max_redirects: int = Field(5, ge=0, description="redirects that are followed")


class NewsSection(Section):
    """News feeds."""

    base_url: str = Field(
        "", description="stand-in for all feeds, asked as BASE_URL/HOST/PATH; empty: each itself"
    )
    feeds: str = Field(
        "", description="your own feeds.toml in the project's folder; empty: the shipped ones"
    )
    only: tuple[str, ...] = Field((), description="names of feeds to read; empty: all")
    collection: str = Field("feeds", description="name of the feed set in the warehouse")
    max_poll_gap_min: float = Field(
        90, gt=0, description="minutes between polls beyond which the hours between are unknown"
    )


class BarsSection(Section):
    """Binance market data, without a key."""

    base_url: str = Field("https://data-api.binance.vision", description="where it is asked")
    quote: str = Field("USDT", description="quote currency where `market.quote` names none")
    first_days: float = Field(365, gt=0, description="days fetched by the first poll")
    overlap_bars: int = Field(3, ge=1, description="stored bars read again, for corrections")
    grace_s: float = Field(10, ge=0, description="seconds from a bar's end until it is final")
    page: int = Field(1000, ge=1, le=1000, description="bars of one request")


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


class RedditSection(Section):
    """Posts and comments of subreddits: without a key by their feeds, or with one by the API."""

    base_url: str = Field(
        "https://www.reddit.com", description="where it is asked; a stand-in serves the API too"
    )
    access: Literal["feed", "api"] = Field(
        "feed", description="`feed` needs no key; `api` needs the credentials of an app"
    )
    subreddits: tuple[str, ...] = Field(
        ("CryptoCurrency", "Bitcoin", "ethereum"), description="names without `r/`"
    )
    comments: bool = Field(False, description="also comments, not only posts")
    collection: str = Field("subreddits", description="name of the set in the warehouse")
    username: str = Field(
        "", description="your name at Reddit, which its rules ask for in the User-Agent"
    )
    overlap_min: float = Field(
        60, ge=0, description="minutes read again at every poll of the API, for edits"
    )
    first_items: int = Field(100, ge=1, le=1000, description="items of the API's first poll")

    @field_validator("subreddits")
    @classmethod
    def _subreddits_are_names(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if not re.fullmatch(r"[A-Za-z0-9_]{2,24}", name):
                raise ValueError(f"{name!r} is no subreddit; write Bitcoin for r/Bitcoin")
        if len({name.lower() for name in names}) < len(names):
            raise ValueError("a subreddit is named twice")
        return names


class XSection(Section):
    """Posts of X, or how many there are: paid by use, and never beyond the budget."""

    base_url: str = Field("https://api.x.com", description="where it is asked")
    mode: Literal["posts", "counts"] = Field(
        "posts", description="`counts` brings posts per hour as the metric `x_posts`, for less"
    )
    queries: dict[str, str] = Field(
        {"BTC": "(bitcoin OR $BTC) lang:en -is:retweet"},
        description="what is searched for, by symbol",
    )
    full_archive: bool = Field(
        False, description="search all posts, not those of a week, where the account may"
    )
    collection: str = Field("search", description="name of the set in the warehouse")
    daily_budget_usd: float = Field(0, ge=0, description="most spent in a day, UTC; 0: nothing")
    monthly_budget_usd: float = Field(0, ge=0, description="most spent in a month, UTC")
    post_usd: float = Field(0.005, ge=0, description="price of a post that is read")
    counts_usd: float = Field(0.005, ge=0, description="price of a call for counts")
    page: int = Field(100, ge=10, le=500, description="posts of one call; over 100: full archive")
    max_posts: int = Field(500, ge=10, description="most posts of a query in one run")
    first_hours: float = Field(1, gt=0, le=160, description="hours fetched by the first poll")
    overlap_min: float = Field(2, ge=0, description="minutes read again at every poll")

    @field_validator("queries")
    @classmethod
    def _queries_fit(cls, queries: dict[str, str]) -> dict[str, str]:
        for symbol, query in queries.items():
            if not query.strip() or len(query) > 512:
                raise ValueError(f"the query of {symbol} has 1 to 512 characters")
        return queries


class SentimentSection(Section):
    """How texts become an hourly series."""

    scorer: str = Field("bundled", description="`bundled` or `lexicon`")
    sources: tuple[Literal["news", "reddit", "x"], ...] = Field(
        ("news", "reddit", "x"), description="text sources that a study reads"
    )
    market_texts: bool = Field(True, description="texts about no coin reach every symbol")
    repost_window_h: float = Field(72, gt=0, description="same text within this time is a repost")
    repost_min_words: int = Field(
        5, ge=1, description="shorter texts are remarks, and never count as reposts"
    )
    half_lives_h: tuple[float, ...] = Field((6.0, 48.0), description="of the decayed averages")


class FeaturesSection(Section):
    """What the forecaster sees."""

    groups: tuple[str, ...] = Field(
        ("price", "calendar", "sentiment", "onchain"), description="feature groups in use"
    )
    metrics: tuple[str, ...] = Field(
        (
            *("AdrActCnt", "TxCnt", "HashRate", "FeeTotNtv", "CapMVRVCur"),
            *("fear_greed", "funding_rate"),
            *("txs", "fee_btc", "out_btc", "utxo_increase", "feerate_p50_mean"),
        ),
        description="metrics a study may read, where they are stored",
    )
    restated: tuple[str, ...] = Field(
        ("Flow*Ex*", "SplyEx*"),
        description="name patterns of metrics that providers rewrite later: kept out of studies",
    )
    metric_max_age_d: float = Field(7, gt=0, description="an older metric value is missing")

    def is_restated(self, metric: str) -> bool:
        """Say whether a metric is known to be rewritten by its provider."""
        return any(fnmatchcase(metric, pattern) for pattern in self.restated)


class TargetSection(Section):
    """What is predicted."""

    names: tuple[TargetName, ...] = Field(TARGETS, description="targets of a study")
    horizons: tuple[int, ...] = Field((1,), description="bars ahead")
    volatility_floor_bps: float = Field(1.0, gt=0, description="floor of volatility, basis points")

    @field_validator("horizons")
    @classmethod
    def _horizons_are_positive(cls, horizons: tuple[int, ...]) -> tuple[int, ...]:
        if not horizons or min(horizons) < 1:
            raise ValueError("horizons are whole numbers of bars, at least 1")
        return horizons


class WalkForwardSection(Section):
    """train | purge | stop | purge | calibrate | purge + embargo | test."""

    folds: int = Field(4, ge=1, le=200, description="consecutive test spans")
    test_fraction: Fraction = Field(0.5, description="share of decision times that are tested")
    stop_fraction: Fraction = Field(0.1, description="share of a fold's past for early stopping")
    calibrate_fraction: Fraction = Field(0.1, description="share of a fold's past for calibration")
    embargo_bars: int = Field(24, ge=0, description="bars left out before each test span")
    rolling_bars: int = Field(0, ge=0, description="longest past of a fold in bars; 0 = all of it")
    min_train_rows: int = Field(300, ge=30, description="a fold with fewer is refused")


class NetworkSection(Section):
    """The two-branch network."""

    lookback_bars: int = Field(60, ge=4, description="length of the market window")
    market: Literal["cnn_lstm", "cnn", "lstm", "gru"] = Field(
        "cnn_lstm", description="market branch"
    )
    filters: int = Field(32, ge=1, description="channels of the convolutions")
    kernel: int = Field(5, ge=1, description="width of the first convolution")
    pool: int = Field(4, ge=1, description="bars pooled into one step of the LSTM")
    market_units: int = Field(32, ge=1, description="units of the market LSTM or GRU")
    sentiment_lookback_bars: int = Field(24, ge=1, description="length of the sentiment window")
    sentiment_units: int = Field(16, ge=1, description="units of the sentiment GRU")
    fusion: Literal["gated", "concat"] = Field("gated", description="how the branches meet")
    hidden: int = Field(32, ge=1, description="units of the joint layer")
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(0.2, description="share dropped")


class TrainingSection(Section):
    """One fit."""

    seeds: int = Field(3, ge=1, le=100, description="independent fits of each fold")
    epochs: int = Field(20, ge=1, description="most passes over the training rows")
    patience: int = Field(3, ge=1, description="epochs without gain on `stop` before stopping")
    batch_size: int = Field(128, ge=1, description="rows of a gradient step")
    learning_rate: float = Field(1e-3, gt=0, description="of Adam at the start")
    max_rows: int = Field(
        0, ge=0, description="train on every k-th row so that at most so many remain; 0 = all"
    )
    device: Literal["auto", "cpu", "gpu"] = Field("auto", description="where to compute")


class VerdictSection(Section):
    """When sentiment is said to help."""

    forecaster: Literal["network", "linear"] = Field("network", description="gives the word")
    margin: dict[TargetName, float] = Field(
        MARGIN, description="gain that matters, as a share of `null`'s loss"
    )
    draws: int = Field(2_000, ge=200, description="bootstrap resamples")
    level: Fraction = Field(0.025, description="one-sided level of the family")
    min_test_blocks: int = Field(30, ge=2, description="with fewer, nobody can tell")

    @field_validator("margin")
    @classmethod
    def _margin_of_every_target(cls, margin: dict[TargetName, float]) -> dict[TargetName, float]:
        return {**MARGIN, **margin}


class AblationSection(Section):
    """Which arms a study runs."""

    subject: Literal["sentiment", "onchain"] = Field(
        "sentiment", description="the group of features under test"
    )
    arms: tuple[str, ...] = Field(
        ("price", "price+onchain", "price+sentiment", "full", "null", "shift"),
        description="names from `[[arm]]` tables; those without columns are left out",
    )
    also: tuple[Literal["network", "linear"], ...] = Field(
        ("linear",), description="other forecasters shown beside the one that gives the word"
    )


class ArmSection(Section):
    """A row of `configs/ablation.toml`, or a user's own arm."""

    name: str = Field(description="what `ablation.arms` calls it")
    groups: tuple[str, ...] = Field(description='groups whose columns it gets; `["all"]` for all')
    treatment: Literal["as_is", "constant", "shift", "none"] = Field(
        "as_is", description="what is done to the columns of the group under test"
    )
    subject: Literal["sentiment", "onchain"] | None = Field(
        None, description="keeps the arm to studies of that group"
    )


class Config(Section):
    """Every setting of Moodtape."""

    seed: int = Field(7, ge=0, description="root of all randomness")
    project: ProjectSection = ProjectSection()
    storage: StorageSection = StorageSection()
    clock: ClockSection = ClockSection()
    market: MarketSection = MarketSection()
    imports: ImportsSection = ImportsSection()
    ingest: IngestSection = IngestSection()
    http: HttpSection = HttpSection()
    news: NewsSection = NewsSection()
    bars: BarsSection = BarsSection()
    onchain: OnchainSection = OnchainSection()
    indices: IndicesSection = IndicesSection()
    reddit: RedditSection = RedditSection()
    x: XSection = XSection()
    sentiment: SentimentSection = SentimentSection()
    features: FeaturesSection = FeaturesSection()
    target: TargetSection = TargetSection()
    walk_forward: WalkForwardSection = WalkForwardSection()
    network: NetworkSection = NetworkSection()
    training: TrainingSection = TrainingSection()
    verdict: VerdictSection = VerdictSection()
    ablation: AblationSection = AblationSection()
    arm: tuple[ArmSection, ...] = ()
