"""Changes the future over the whole line and compares the past, bit for bit."""

from moodtape.audit.result import AuditResult, Offender
from moodtape.audit.run import audit

__all__ = ["AuditResult", "Offender", "audit"]
