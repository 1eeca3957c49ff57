"""How the simulation of trading fills, pays and protects itself."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from moodtape.config.section import Section


class TradingSection(Section):
    """A rule that follows the forecasts, and what it costs; it never enters a verdict."""

    instrument: Literal["spot", "perp"] = Field(
        "spot", description="`spot` is long or flat; `perp` may be short and pays funding"
    )
    fill: Literal["next", "optimistic"] = Field(
        "next",
        description="`next`: the first open at or after the decision; `optimistic`: the open at"
        " the signal itself, which nobody can get",
    )
    fee_bps: float = Field(10.0, ge=0, description="of traded notional, basis points")
    slippage_bps: float = Field(2.0, ge=0, description="of traded notional, basis points")
    threshold_bps: float = Field(
        0.0, ge=0, description="a forecast return nearer to zero, in basis points, opens nothing"
    )
    threshold_p: Annotated[float, Field(ge=0, lt=0.5)] = Field(
        0.0, description="a P(up) nearer to one half opens nothing"
    )
    volatility_target: float = Field(
        0.0, ge=0, description="size aims at this yearly volatility of equity; 0 = full size"
    )
    leverage_cap: float = Field(1.0, gt=0, description="largest position, as a share of equity")
    resize_band: float = Field(
        0.1, ge=0, description="a change of size within this share of equity is not traded"
    )
    stop_loss: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="distance from the entry price at which a loss is taken; 0 = none"
    )
    take_profit: float = Field(
        0.0, ge=0, description="distance from the entry price at which a gain is taken; 0 = none"
    )
    max_drawdown: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.25, description="fall from the highest equity that closes everything; 0 = no breaker"
    )
    cool_down_d: float = Field(7.0, ge=0, description="days without a position after the breaker")
    random_entries: int = Field(
        1_000, ge=100, description="random strategies of equal holding times to compare with"
    )

    @property
    def cost(self) -> float:
        """Return fee and slippage as a share of traded notional."""
        return (self.fee_bps + self.slippage_bps) * 1e-4
