"""What may be spent at X: every call is entered in the ledger before it is made, or not made.

A day and a month are those of UTC. A call counts at its highest price until its answer says
what it came to; one that was refused, or not made since the host is left alone, cost nothing,
and one without an answer may have cost.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from moodtape.errors import BudgetUsedUp, LeftAlone, Refused
from moodtape.ingest.base import Door
from moodtape.ingest.raw import ReplayingDoor
from moodtape.storage.db import Warehouse
from moodtape.storage.spend import enter_call, settle_call, spent_micro_usd

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection

PROVIDER = "x"
MICRO = 1_000_000


@dataclass
class Call:
    """A call that is being made. `units` becomes what the answer says."""

    units: int


@dataclass(frozen=True)
class Left:
    """What was spent and may still be, in millionths of a US dollar."""

    today: int
    this_month: int
    daily: int
    monthly: int

    @property
    def micro_usd(self) -> int:
        """Return what the next call may cost at most."""
        return max(min(self.daily - self.today, self.monthly - self.this_month), 0)

    def __str__(self) -> str:
        return (
            f"spent today {dollars(self.today)} of {dollars(self.daily)} (x.daily_budget_usd),"
            f" this month {dollars(self.this_month)} of {dollars(self.monthly)}"
            " (x.monthly_budget_usd)"
        )


class Purse:
    """Money for X, and the ledger of what became of it. Kept answers are free."""

    def __init__(
        self, warehouse: Warehouse, door: Door, daily_usd: float, monthly_usd: float
    ) -> None:
        self.warehouse, self.door = warehouse, door
        self.daily, self.monthly = micro(daily_usd), micro(monthly_usd)

    def left(self, now: datetime) -> Left:
        """Return what is spent and left; a warehouse that is not there yet has spent nothing."""
        if not self.warehouse.path.exists():
            return Left(0, 0, self.daily, self.monthly)
        with self.warehouse.read() as connection:
            return self._left(connection, now)

    def _left(self, connection: Connection, now: datetime) -> Left:
        today = now.replace(hour=0, minute=0, second=0, microsecond=0)
        spent = [
            spent_micro_usd(connection, PROVIDER, since) for since in (today, today.replace(day=1))
        ]
        return Left(spent[0], spent[1], self.daily, self.monthly)

    @contextmanager
    def pay(self, what: str, units: int, unit_usd: float) -> Iterator[Call]:
        """Enter a call, let it be made, and settle what it came to.

        Raises:
            BudgetUsedUp: it could cost more than is left; it must not be made.
        """
        call = Call(units)
        if isinstance(self.door, ReplayingDoor):
            yield call
            return
        price, now = micro(unit_usd), self.door.now()
        with self.warehouse.write() as connection:
            left = self._left(connection, now)
            if units * price > left.micro_usd:
                raise BudgetUsedUp(
                    f"X: the next call may cost {dollars(units * price)}, and"
                    f" {dollars(left.micro_usd)} is left: {left}."
                )
            call_id = enter_call(connection, PROVIDER, what, units, units * price, now)
        try:
            yield call
        except (LeftAlone, Refused):
            self._settle(call_id, 0, price)
            raise
        self._settle(call_id, call.units, price)

    def _settle(self, call_id: str, units: int, price: int) -> None:
        with self.warehouse.write() as connection:
            settle_call(connection, call_id, units, units * price, self.door.now())


def micro(usd: float) -> int:
    """Return millionths of a US dollar.

    >>> micro(0.005)
    5000
    """
    return round(usd * MICRO)


def dollars(micro_usd: int) -> str:
    """Return an amount as people write it.

    >>> dollars(1_505_000), dollars(0)
    ('$1.505', '$0.00')
    """
    return f"${micro_usd / MICRO:.3f}".removesuffix("0")
