"""A small blocking client of the service: ``from adapter.client import TrialAdapter``."""

from adapter.client.calls import Refused, TrialAdapter, Unavailable
from adapter.client.reply import Criterion, Match, Remark, Reply, Result

__all__ = ["Criterion", "Match", "Refused", "Remark", "Reply", "Result", "TrialAdapter", "Unavailable"]
