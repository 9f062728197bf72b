"""The dry run as a job of the jobs process (web/jobs.py)."""

from typing import Any

from django_tasks import task

from guiju.screening.trial import running


@task()
def run_trial(id: str) -> dict[str, Any]:
    """Run a dry run that waits; return where it ended."""
    trial = running.run_trial(id)
    return {"trial": id, "state": trial.state if trial is not None else ""}
