"""What a study computes: features, targets, folds, the network, the verdict."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated, Literal

from pydantic import Field, field_validator

from moodtape.config.section import Section

Fraction = Annotated[float, Field(gt=0, lt=1)]
Share = Annotated[float, Field(gt=0, le=1)]
TargetName = Literal["return", "direction", "volatility"]
ForecasterName = Literal["network", "linear", "boosting"]
TreatmentName = Literal[
    "as_is", "constant", "shift", "echo", "planted", "none",
    "counts", "block_shuffle", "other_symbol",
    "counts_shift", "counts_echo", "counts_planted",
]  # fmt: skip
ClaimName = Literal["tone", "attention"]
BaselineName = Literal["ridge", "boosting", "arima"]
KindName = Literal["event", "recap", "forecast", "promotion", "other", "unknown"]
MOST_FOLDS = 200
MARGIN: dict[TargetName, float] = {"return": 0.005, "direction": 0.003, "volatility": 0.01}
TARGETS: tuple[TargetName, ...] = ("return", "direction", "volatility")


class SentimentSection(Section):
    """How texts become an hourly series."""

    scorer: str = Field(
        "bundled",
        description="`bundled`, `lexicon`, a plug-in's name, or that of an added model",
    )
    device: Literal["auto", "cpu", "gpu"] = Field(
        "auto",
        description="whose scores count; `auto` is what scored first here, and `cpu` if none did",
    )
    hub_url: str = Field(
        "https://huggingface.co", description="where `models add` fetches models of a hub"
    )
    sources: tuple[Literal["news", "reddit", "x"], ...] = Field(
        ("news", "reddit", "x"), description="text sources that a study reads"
    )
    kinds: tuple[KindName, ...] = Field(
        (),
        description="kinds of text that a study reads, such as `event`; all where none is named",
    )
    promotion: Literal["keep", "leave_out"] = Field(
        "keep", description="texts that look like promotion or like bots"
    )
    market_texts: bool = Field(True, description="texts about no coin reach every symbol")
    repost_window_h: float = Field(
        72, gt=0, description="what was told within this time before is a repost"
    )
    repost_similarity: float = Field(
        0.55, ge=0.5, le=1, description="of words, from which on it is told again; 1 = equal words"
    )
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
    plugins: tuple[str, ...] = Field(
        (), description="plug-ins whose features are columns too, by the name they are installed as"
    )
    others: bool = Field(
        True, description="means of what the other assets did are columns, where there are others"
    )
    peers: tuple[str, ...] = Field(
        (), description="assets that count among the others although a study is not about them"
    )
    fill_limit_bars: int = Field(
        0, ge=0, description="a missing value is the newest of so many bars before; 0 = none"
    )
    masks: Literal["share", "each"] = Field(
        "share",
        description="marks what is missing: the share of a block's columns, or each by a column",
    )
    scaling: Literal["z-score", "min-max", "robust"] = Field(
        "z-score", description="how the training rows of a fold scale each column"
    )

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

    folds: int = Field(4, ge=1, le=MOST_FOLDS, description="consecutive test spans")
    refit_bars: int = Field(
        0, ge=0, description="bars between two fits, in place of `folds`; 0 = `folds` equal spans"
    )
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
    fusion: Literal["gated", "concat", "cross_attention"] = Field(
        "gated", description="how the branches meet"
    )
    hidden: int = Field(32, ge=1, description="units of the joint layer")
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(0.2, description="share dropped")


class TrainingSection(Section):
    """One fit."""

    seeds: int = Field(3, ge=1, le=100, description="independent fits of each fold")
    epochs: int = Field(20, ge=1, description="most passes over the training rows")
    patience: int = Field(3, ge=1, description="epochs without gain on `stop` before stopping")
    batch_size: int = Field(128, ge=1, description="rows of a gradient step")
    learning_rate: float = Field(1e-3, gt=0, description="of Adam at the start")
    schedule: Literal["constant", "cosine", "plateau"] = Field(
        "plateau",
        description="of the learning rate: as it is, falling to nothing over all epochs, or halved"
        " when `stop` gains nothing",
    )
    clip_norm: float = Field(
        1.0, ge=0, description="each weight's gradient is cut to this norm; 0 = never"
    )
    warm_start: bool = Field(
        False,
        description="in a study, a fold's fit begins with the weights of the same arm and seed in"
        " the fold before",
    )
    tensorboard: bool = Field(
        False, description="`train` writes its curves for TensorBoard into the run's folder"
    )
    max_rows: int = Field(
        0, ge=0, description="train on every k-th row so that at most so many remain; 0 = all"
    )
    device: Literal["auto", "cpu", "gpu"] = Field("auto", description="where to compute")


class VerdictSection(Section):
    """When sentiment is said to help."""

    forecaster: ForecasterName = Field("network", description="gives the word")
    margin: dict[TargetName, Share] = Field(
        MARGIN, description="gain that matters, as a share of `null`'s loss"
    )
    draws: int = Field(2_000, ge=200, description="bootstrap resamples")
    planted_draws: int = Field(
        20,
        ge=0,
        le=1000,
        description="effects planted of each size to measure the smallest detectable; 0 = none",
    )
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
        ("full", "null", "shift", "echo", "planted"),
        description="names from `[[arm]]` tables; those without columns are left out",
    )
    claims: tuple[ClaimName, ...] = Field(
        ("tone",),
        description="what is put to the test; `attention`, of texts alone, is a second line: does"
        " their number help?",
    )
    also: tuple[ForecasterName, ...] = Field(
        ("linear", "boosting"),
        description="other forecasters shown beside the one that gives the word",
    )
    baselines: tuple[BaselineName, ...] = Field(
        ("ridge", "boosting", "arima"),
        description="fitted baselines that see no text, beside the rules of thumb",
    )
    importance_draws: int = Field(
        3, ge=0, description="shuffles of each feature group that tell what forecasts rest on"
    )
    clock_delays_min: tuple[Annotated[int, Field(gt=0)], ...] = Field(
        (15, 60, 240, 1440),
        description="minutes by which all texts and metrics are delayed further, to see what hangs"
        " on their times; empty = no clock curve",
    )

    @field_validator("claims")
    @classmethod
    def _tone_comes_first(cls, claims: tuple[ClaimName, ...]) -> tuple[ClaimName, ...]:
        if claims[:1] != ("tone",) or len(set(claims)) != len(claims):
            raise ValueError('claims begin with "tone", and name each once')
        return claims


class ArmSection(Section):
    """A row of `configs/ablation.toml`, or a user's own arm."""

    name: str = Field(description="what `ablation.arms` calls it")
    groups: tuple[str, ...] = Field(description='groups whose columns it gets; `["all"]` for all')
    treatment: TreatmentName = Field(
        "as_is", description="what is done to the columns of the group under test"
    )
    subject: Literal["sentiment", "onchain"] | None = Field(
        None, description="keeps the arm to studies of that group"
    )
    kinds: tuple[KindName, ...] = Field(
        (),
        description="it reads texts of these kinds alone; all of the study's by default",
    )
    scorer: str | None = Field(
        None, description="its texts are scored by another scorer than the study's"
    )
