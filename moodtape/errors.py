"""Every error a user can meet, and the exit code each one ends with.

    MoodtapeError              1  unexpected failure
    ├── UsageError             2  wrong usage
    │   ├── ConfigError        2  a setting is unknown or out of range
    │   └── UnreadableFile     2  a file cannot be used at all
    ├── DataMissing            3  rows that a command needs are not there
    │   └── DataStale          3  they are there and too old
    ├── PlugInBroken           1  an installed plug-in cannot be loaded
    ├── GateFailed             4  audit or promotion refused
    ├── SourceFailed           5  a provider, a quota or a budget said no
    │   ├── CouldNotAsk        5  no answer: no network, no such host, no time left
    │   │   └── LeftAlone      5  not asked: the host failed too often, or wants to be left alone
    │   ├── Refused            5  an answer that is a refusal, or a bad one
    │   │   ├── NotThere       5  there is no such page (404)
    │   │   └── ClockInDoubt   5  our clock is not the provider's, or far from the last run's
    │   ├── CouldNotRead       5  an answer that cannot be read
    │   └── BudgetUsedUp       5  what may be spent is spent
    ├── WarehouseLocked        6  another process is writing
    ├── TookTooLong            1  a step did not end within its time
    └── DiskFull               1  there is no room left to write

A message says what was wrong, what was expected, what came, and what to do next.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class MoodtapeError(Exception):
    """Base of all errors that the command line prints as one line."""

    exit_code = 1


class UsageError(MoodtapeError):
    """The command was called in a way that cannot work."""

    exit_code = 2


class ConfigError(UsageError):
    """A setting is unknown, missing or out of range."""


class UnreadableFile(UsageError):
    """A file is absent, empty, cut short or lacks a needed column."""


class DataMissing(MoodtapeError):
    """The warehouse does not hold what the command needs."""

    exit_code = 3


class DataStale(DataMissing):
    """The newest row is older than the command can accept."""


class PlugInBroken(MoodtapeError):
    """An installed plug-in cannot be loaded."""


class GateFailed(MoodtapeError):
    """An audit or a promotion gate refused to go on."""

    exit_code = 4


class SourceFailed(MoodtapeError):
    """At least one provider failed, refused or ran out of quota."""

    exit_code = 5


class CouldNotAsk(SourceFailed):
    """A provider gave no answer: no network, no such host, or no time left."""


class LeftAlone(CouldNotAsk):
    """A host failed too often, or asked for it: nothing is sent to it for a while."""


class Refused(SourceFailed):
    """A provider refused, or answered with a fault of its own."""


class NotThere(Refused):
    """A provider has no such page (404)."""


class ClockInDoubt(Refused):
    """This machine's clock cannot be believed: what was known when could not be said."""


class CouldNotRead(SourceFailed):
    """A provider's answer is cut short, too large or not what it should be."""


class BudgetUsedUp(SourceFailed):
    """The next call could cost more than the config lets it."""


class WarehouseLocked(MoodtapeError):
    """Another process holds the warehouse file for writing."""

    exit_code = 6


class TookTooLong(MoodtapeError):
    """A step did not end within its time."""


class DiskFull(MoodtapeError):
    """There is no room left to write."""


class InsufficientData(MoodtapeError):
    """A statistic was asked of too few or too constant numbers."""


def did_you_mean(word: str, valid: Iterable[str]) -> str:
    """Return ` Did you mean X?` for the nearest valid word, or an empty string.

    >>> did_you_mean("train_dayz", ["train_days", "folds"])
    ' Did you mean train_days?'
    >>> did_you_mean("zzz", ["train_days"])
    ''
    """
    near = difflib.get_close_matches(word, list(valid), n=1)
    return f" Did you mean {near[0]}?" if near else ""
