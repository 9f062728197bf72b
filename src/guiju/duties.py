"""The duties, in order, and what each contributes: the only list of them. Nothing is found by itself.

Order matters: tables are made and commands shown in it.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Duty:
    """One package. `commands` is the module of its command line, `urls` its pages, `checks` what judges its duties, `app` whether it has tables."""

    package: str
    articles: tuple[int, ...]
    app: bool = False
    commands: str = ""
    command_name: str = ""
    urls: str = ""
    urls_at: str = ""
    checks: str = ""


DUTIES: Final[tuple[Duty, ...]] = (
    Duty("guiju.services", (2, 10, 13, 17, 20, 22, 23), app=True, commands="guiju.services.cli", command_name="keys", urls="guiju.services.urls", urls_at="console/services/"),
    Duty("guiju.gateway", (9, 13, 14), checks="guiju.gateway.checks"),
    Duty("guiju.screening", (4, 9, 14), app=True, commands="guiju.screening.cli", command_name="library", urls="guiju.screening.urls", urls_at="console/keywords/", checks="guiju.screening.checks"),
    Duty("guiju.screening.policies", (4, 10, 14), app=True, urls="guiju.screening.policies.urls", urls_at="console/policy/"),
    Duty("guiju.screening.review", (4, 14), app=True, commands="guiju.screening.review.cli", command_name="review", urls="guiju.screening.review.urls", urls_at="console/review/"),
    Duty("guiju.labelling", (12,), app=True, urls="guiju.labelling.urls", commands="guiju.labelling.cli.keys", command_name="label-keys", checks="guiju.labelling.checks"),
    Duty("guiju.labelling.supply", (12,), app=True, urls="guiju.labelling.supply.urls", urls_at="console/supply/"),
    Duty("guiju.records", (9, 11, 14, 19), app=True, commands="guiju.records.cli", command_name="records", urls="guiju.records.urls", urls_at="console/records/", checks="guiju.records.checks"),
    Duty("guiju.obligations", tuple(range(1, 25)), app=True, commands="guiju.obligations.cli", command_name="obligations", urls="guiju.obligations.urls", checks="guiju.obligations.checks"),
)  # fmt: skip
