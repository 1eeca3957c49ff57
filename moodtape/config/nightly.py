"""What runs by itself: every hour, every night, and what is kept of it."""

from __future__ import annotations

from pydantic import Field, SecretStr, field_validator

from moodtape.config.section import Section


class NightlySection(Section):
    """The hourly and the nightly run."""

    at: str = Field(
        "00:20", pattern=r"^([01]\d|2[0-3]):[0-5]\d$", description="when a night begins, UTC"
    )
    tick_minute: int = Field(
        3, ge=0, le=59, description="minute of the hour at which schedules start `tick`"
    )
    retrain_days: float = Field(7, ge=0, description="days between two trainings; 0 = never")
    retrain_on_drift: bool = Field(
        True, description="an alarm of drift makes a training due, too; not with retrain_days = 0"
    )
    drift_alarms_per_quarter: float = Field(
        1.0, gt=0, le=10, description="false alarms of drift that may come in three months, in all"
    )
    drift_span_days: float = Field(
        730, ge=120, description="days of a model's training span that inputs are held against"
    )
    gate_days: float = Field(
        42, ge=28, description="days on which a new model is compared with the one in use"
    )
    gate_margin: float = Field(
        0.01, gt=0, lt=1, description="a new model's loss may be larger by this share at most"
    )
    gate_blocks: float = Field(
        30, ge=30, description="independent blocks of forecasts without which the old model stays"
    )
    catch_up_days: float = Field(
        31, gt=0, description="decisions that were missed longer ago get no forecast"
    )
    signals: str = Field(
        "signals.json", description="file of the newest forecasts, from the project's folder"
    )
    void_after_h: float = Field(
        72, gt=0, description="a forecast whose bars have not come so long after its end is void"
    )
    step_limit_min: float = Field(60, gt=0, description="longest run time of a step, minutes")
    train_limit_min: float = Field(360, gt=0, description="longest run time of a training, minutes")
    stale_after_h: float = Field(
        3, gt=0, description="hours without a whole `tick` after which `status` ends with 3"
    )
    night_stale_after_h: float = Field(
        30, gt=0, description="hours without a whole night after which `status` ends with 3"
    )
    source_stale_after_h: float = Field(
        26, gt=0, description="hours without a good answer of a source, likewise"
    )
    log: str = Field(
        "logs/moodtape.jsonl", description="file of what runs did, a JSON line each; empty = none"
    )
    log_mib: float = Field(5, gt=0, description="MiB after which the log goes on in a new file")
    log_files: int = Field(5, ge=2, description="files of the log that are kept, with the new one")
    metrics: str = Field(
        "moodtape.prom", description="text file for Prometheus's node_exporter; empty = none"
    )
    webhook: SecretStr = Field(
        SecretStr(""), description="address that is told of failures and changed verdicts"
    )

    @field_validator("webhook")
    @classmethod
    def _webhook_is_an_address(cls, webhook: SecretStr) -> SecretStr:
        address = webhook.get_secret_value()
        if address and not address.startswith(("https://", "http://")):
            raise ValueError("an address begins with https:// or http://")
        return webhook


class BackupSection(Section):
    """Copies of the warehouse, the settings and the model in use."""

    folder: str = Field("backups", description="where they lie, from the project's folder")
    keep_days: int = Field(7, ge=1, description="days of which the newest backup is kept")
    keep_weeks: int = Field(4, ge=0, description="weeks of which the newest backup is kept")
    keep_months: int = Field(6, ge=0, description="months of which the newest backup is kept")
