"""The config schema: one frozen tree; every setting with its default, unit and range.

How files, environment and flags become this tree: `moodtape.settings`.
"""

from __future__ import annotations

from pydantic import Field

from moodtape.config.markets import (
    BarsSection,
    BlockchainSection,
    CoinGeckoSection,
    DumpsSection,
    FundingSection,
    IndicesSection,
    MempoolSection,
    OnchainSection,
)
from moodtape.config.nightly import BackupSection, NightlySection
from moodtape.config.project import (
    ClockSection,
    ImportsSection,
    MarketSection,
    ProjectSection,
    StorageSection,
)
from moodtape.config.section import Section
from moodtape.config.sources import (
    HttpSection,
    IngestSection,
    NewsSection,
    RedditSection,
    XSection,
)
from moodtape.config.study import (
    MARGIN,
    TARGETS,
    AblationSection,
    ArmSection,
    BaselineName,
    FeaturesSection,
    ForecasterName,
    Fraction,
    NetworkSection,
    SentimentSection,
    TargetName,
    TargetSection,
    TrainingSection,
    VerdictSection,
    WalkForwardSection,
)
from moodtape.config.trading import TradingSection

__all__ = [
    "MARGIN",
    "TARGETS",
    "WITH_BASE_URL",
    "AblationSection",
    "ArmSection",
    "BackupSection",
    "BarsSection",
    "BaselineName",
    "BlockchainSection",
    "ClockSection",
    "CoinGeckoSection",
    "Config",
    "DumpsSection",
    "FeaturesSection",
    "ForecasterName",
    "Fraction",
    "FundingSection",
    "HttpSection",
    "ImportsSection",
    "IndicesSection",
    "IngestSection",
    "MarketSection",
    "MempoolSection",
    "NetworkSection",
    "NewsSection",
    "NightlySection",
    "OnchainSection",
    "ProjectSection",
    "RedditSection",
    "Section",
    "SentimentSection",
    "StorageSection",
    "TargetName",
    "TargetSection",
    "TradingSection",
    "TrainingSection",
    "VerdictSection",
    "WalkForwardSection",
    "XSection",
]


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
    dumps: DumpsSection = DumpsSection()
    coingecko: CoinGeckoSection = CoinGeckoSection()
    funding: FundingSection = FundingSection()
    onchain: OnchainSection = OnchainSection()
    blockchain: BlockchainSection = BlockchainSection()
    mempool: MempoolSection = MempoolSection()
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
    trading: TradingSection = TradingSection()
    nightly: NightlySection = NightlySection()
    backup: BackupSection = BackupSection()
    arm: tuple[ArmSection, ...] = ()


WITH_BASE_URL = tuple(
    name
    for name, field in Config.model_fields.items()
    if "base_url" in getattr(field.annotation, "model_fields", ())
)
"""Sections of sources for which a stand-in can be named."""
