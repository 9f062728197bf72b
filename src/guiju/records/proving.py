"""The proof of a record and the newest checkpoint as pages show them: checked now, in the reader's language."""

from dataclasses import dataclass

from django.conf import settings

from guiju.core.errors import GuijuError
from guiju.core.keys import load_ring, load_site_public_key
from guiju.core.layout import DataFolder
from guiju.records import flow
from guiju.records.log.note import Checkpoint
from guiju.records.log.proof import check_proof
from guiju.records.log.report import Step
from guiju.records.log.signers import verify_site_checkpoint
from guiju.records.log.tiles import read_checkpoint


@dataclass(frozen=True, slots=True)
class Shown:
    """A proof as a page shows it: its steps, or the error instead of them; `waiting` before the next checkpoint."""

    steps: tuple[Step, ...] = ()
    error: GuijuError | None = None

    @property
    def ok(self) -> bool:
        """Whether there is a proof and no step of it fails."""
        return self.error is None and all(step.outcome != "fails" for step in self.steps)

    @property
    def waiting(self) -> bool:
        """Whether the record only waits for a checkpoint."""
        return self.error is not None and self.error.code is flow.RECORD_WAITING


def show_proof(record_id: str) -> Shown:
    """Make the proof of a record and check it as anybody could; never raises for a proof that fails."""
    folder: DataFolder = settings.DATA_FOLDER
    try:
        document = flow.prove(record_id)
        return Shown(check_proof(document, load_site_public_key(folder.keys)).steps)
    except GuijuError as problem:
        return Shown(error=problem)


def newest_checkpoint() -> Checkpoint | None:
    """Return the newest checkpoint of this site, its signature checked; None before the first. Raises NOTE-INVALID."""
    folder: DataFolder = settings.DATA_FOLDER
    note = read_checkpoint(folder.ledger)
    return verify_site_checkpoint(note, settings.SITE.ledger.origin, load_ring(folder.keys)) if note is not None else None
