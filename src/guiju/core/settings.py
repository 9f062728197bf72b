"""`guiju.toml`: every setting, declared once; read, checked and refused with the line of the mistake.

The commented file of the first start and `docs/settings.md` are made from the declarations in core/settings_tables.py.
"""

import os
from pathlib import Path
from typing import Literal

import msgspec

from guiju.core.deadlines import WorkCalendar, work_calendar
from guiju.gateway.bundle import Guard, Limits, Media, Service, Upstream


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """Where the gateway listens."""

    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 0

    def worker_count(self) -> int:
        """Return how many gateway workers run; without a figure, all cores but one, at least one."""
        return self.workers or max(1, (os.cpu_count() or 1) - 1)


class Console(msgspec.Struct, frozen=True, kw_only=True):
    """Where the portal and the console listen, and under which names people reach them."""

    host: str = "127.0.0.1"
    port: int = 8080
    allowed_hosts: tuple[str, ...] = ()
    public_url: str = ""
    proxy: str = ""


class Database(msgspec.Struct, frozen=True, kw_only=True):
    """The database of the paper side; without a URL, SQLite in the data folder."""

    url: str = ""
    password_env: str = ""
    password_file: str = ""

    def password(self) -> str:
        """Return the password from where it is kept; empty when none is named. Raises OSError for a file that cannot be read."""
        if self.password_file:
            return Path(self.password_file).read_text().strip()
        return os.environ.get(self.password_env, "") if self.password_env else ""


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """The Merkle log, and the authority that stamps its checkpoints, if there is one."""

    origin: str = "guiju.local/ledger"
    tsa_url: str = ""
    tsa_root_file: str = ""
    tsa_interval_minutes: int = 60


class Records(msgspec.Struct, frozen=True, kw_only=True):
    """How many people it takes to open or erase what is sealed, and how long a permission lasts."""

    opening_people: int = 1
    erasure_people: int = 2
    request_hours: int = 72
    approval_hours: int = 24
    opening_minutes: int = 60
    review_days: int = 30


class Screening(msgspec.Struct, frozen=True, kw_only=True):
    """How many people put a policy or a keyword library in force, and what a library is measured against; what people review of what
    screening did, and by when; working hours are Beijing's, on working days.
    """

    policy_people: int = 1
    library_people: int = 1
    library_provenance: Literal["optional", "required"] = "optional"
    library_profile: str = "gbt45654@2025"
    trial_records: int = 20_000
    review_sample_per_mille: int = 2
    review_second_per_mille: int = 100
    review_due_hours: int = 16
    review_lease_minutes: int = 30
    working_day_from: int = 9
    working_day_until: int = 18


class Calendar(msgspec.Struct, frozen=True, kw_only=True):
    """Days off and make-up days beyond those of the national holiday notices that guiju knows, as 2027-10-01."""

    days_off: tuple[str, ...] = ()
    make_up_days: tuple[str, ...] = ()

    def work_calendar(self) -> WorkCalendar:
        """Return the national calendar with these days."""
        return work_calendar(self.days_off, self.make_up_days)


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """How long records and their content are kept at most, and how they are removed. The least is the law's (records/values.py)."""

    log_days: int = 200
    case_days: int = 1096
    label_days: int = 200
    rule_days: int = 1826
    rights_days: int = 1461
    transfer_days: int = 1461
    content_days: int = 90
    case_content_days: int = 200
    sweeps: Literal["on", "off"] = "on"
    rows_per_s: int = 2_000

    def days_of(self, name: str) -> int:
        """Return how many days the records of a class are kept at most; 0 for a class that is never removed."""
        return int(getattr(self, f"{name}_days", 0))

    def content_days_of(self, name: str) -> int:
        """Return how many days the content of such records is kept at most, never longer than the records."""
        days = self.case_content_days if name == "case" else self.content_days
        return min(days, self.days_of(name) or days)


class Verify(msgspec.Struct, frozen=True, kw_only=True):
    """The public page on which anybody has the label of a file looked at, and asks whether this service issued it."""

    page: Literal["on", "off"] = "on"
    urls: Literal["on", "off"] = "off"
    upload_mb: int = 64
    per_hour: int = 60


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All of `guiju.toml`. Without an upstream every service is served by the built-in demo model."""

    server: Server = Server()
    console: Console = Console()
    database: Database = Database()
    ledger: Ledger = Ledger()
    records: Records = Records()
    screening: Screening = Screening()
    calendar: Calendar = Calendar()
    retention: Retention = Retention()
    verify: Verify = Verify()
    limits: Limits = Limits()
    media: Media = Media()
    upstreams: tuple[Upstream, ...] = ()
    guards: tuple[Guard, ...] = ()
    services: tuple[Service, ...] = (Service(id="chat", name_zh="对话服务", name_en="Chat", upstreams=()),)


def default_settings() -> Settings:
    """Return the settings of a file in which nothing is set: the demo model behind one service."""
    return Settings()


def read_settings(path: Path) -> Settings:
    """Return the settings in a file.

    Raises a GuijuError with one of the SETTING- codes for the first mistake in the file, its line included; the fact
    `others` holds the errors of the other mistakes. Files named by the settings are made absolute, and are not read.
    """
    from guiju.core.errors import GuijuError, reason_zh  # here, because the check is built on the structs above
    from guiju.core.settings_check import SETTING_FILE, parse_settings

    try:
        raw = path.read_bytes()
    except OSError as problem:
        raise GuijuError(SETTING_FILE, file=path, reason=problem.strerror, reason_zh=reason_zh(problem)) from problem
    return parse_settings(raw, path)
