"""What a run leaves for those who watch: lines in the log, figures for Prometheus, a message.

None of it can fail a run: what could not be told is told with the run's result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from moodtape.errors import SourceFailed
from moodtape.ingest.hosts import without_keys
from moodtape.nightly.gauges import gauges_of, write_gauges
from moodtape.nightly.journal import Journal, Level
from moodtape.nightly.webhook import Outcome, tell_news
from moodtape.settings import Settings

if TYPE_CHECKING:
    from moodtape.ingest.polite import Timing
    from moodtape.storage.steps import StepState

LEVELS: dict[StepState, Level] = {
    "done": "info", "skipped": "info", "partial": "warning", "failed": "error",
}  # fmt: skip


@dataclass(frozen=True)
class Seen:
    """Tells of one run as it goes on."""

    settings: Settings
    journal: Journal
    timing: Timing | None = None

    def step_ended(
        self, step: str, state: StepState, problems: Sequence[str], **facts: Any
    ) -> None:
        """Tell what came of a step, and each of its problems."""
        level = LEVELS[state]
        self.journal.note("step ended", level, step=step, state=state, **facts)
        for problem in problems:
            self.journal.note("problem", level, step=step, message=problem)

    def ended(self, outcome: Outcome) -> tuple[str, ...]:
        """Tell that a run came to its end; return what could not be told to whom."""
        now, warnings = self.journal.clock(), []
        verdicts: dict[str, str] | None = None
        try:
            write_gauges(self.settings, now)
            verdicts = _verdicts(self.settings)
        except Exception as exc:  # noqa: BLE001  the steps are done; what is wrong here is told
            warnings.append(
                f"{gauges_of(self.settings)} was not written, or verdicts were not looked up:"
                f" {without_keys(str(exc))}"
            )
        warnings += self._told(outcome, verdicts, now)
        of_sources = outcome.exit_code == SourceFailed.exit_code
        level: Level = "warning" if of_sources else "error" if outcome.exit_code else "info"
        self.journal.note("run ended", level, exit_code=outcome.exit_code)
        return (*warnings, self.journal.trouble) if self.journal.trouble else tuple(warnings)

    def broke_off(self, outcome: Outcome, error: Exception) -> None:
        """Tell that a run came to no end; what could not be told becomes a note of its error."""
        message = without_keys(str(error))
        self.journal.note(
            "run broke off", "error", exit_code=outcome.exit_code, error=type(error).__name__,
            message=message,
        )  # fmt: skip
        for warning in self._told(outcome, None, self.journal.clock()):
            error.add_note(warning)
        if self.journal.trouble:
            error.add_note(self.journal.trouble)

    def _told(self, outcome: Outcome, verdicts: dict[str, str] | None, now: datetime) -> list[str]:
        why_not = tell_news(self.settings, outcome, verdicts, now, self.timing)
        if why_not is None:
            return []
        self.journal.note("problem", "warning", message=why_not)
        return [why_not]


def _verdicts(settings: Settings) -> dict[str, str] | None:
    """Return the newest word on each question, where somebody is to be told of changes."""
    from moodtape.storage.ledger import newest_verdicts
    from moodtape.study.project import warehouse_of

    if not settings.config.nightly.webhook.get_secret_value():
        return None
    with warehouse_of(settings).read() as connection:
        return newest_verdicts(connection)
