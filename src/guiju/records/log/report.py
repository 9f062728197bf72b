"""What a check found, as pages, terminals and programs show it; the values are those of the check that runs alone."""

from guiju.records.offline.report import Report, Step

__all__ = ["Outcome", "Report", "Step"]

Outcome = str
"""`holds`, `fails`, or `open`: neither proven nor refuted."""
