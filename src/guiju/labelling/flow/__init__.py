"""The keys that sign labels: made where a service wants one, replaced by a person; each change leaves a record. Certificates are looked at."""

from collections.abc import Iterable
from pathlib import Path

from django.conf import settings

from guiju.core.layout import DataFolder
from guiju.labelling import content_credentials
from guiju.labelling.signatures.keys import Algorithm, SigningKey
from guiju.labelling.signatures.ring import LabelKey, find_signing, put_in_force, read_ring
from guiju.labelling.values import Label
from guiju.records import flow as records


def make_missing_keys(labels: Iterable[Label], actor: str) -> None:
    """Make the keys that these labels are signed with and that are not there; leave `labelling.key.made` for each.

    Raises LABEL-SM-LIBRARY, LABEL-KEY-RING.
    """
    wanted = {(label.content_producer, label.signature) for label in labels if label.content_producer}
    for provider, algorithm in sorted(wanted):
        if algorithm != "none" and find_signing(read_ring(_folder().keys), provider, algorithm) is None:
            put_in_force(_folder().keys, provider, algorithm, keep=True, before=lambda new, old: _record(actor, new, old))


def look_at_credentials(labels: Iterable[Label]) -> None:
    """Look at the certificates with which these labels' files get a C2PA manifest, before they are in force.

    Raises LABEL-CREDENTIALS-UNUSABLE, -LIBRARY, and the KEY-FILE- errors.
    """
    for chain, key in sorted({(label.c2pa_chain_file, label.c2pa_key_file) for label in labels if label.c2pa_chain_file}):
        content_credentials.load_credentials(Path(chain), Path(key))
        content_credentials.library()


def rotate_key(provider: str, algorithm: Algorithm, actor: str, given: SigningKey | None = None) -> tuple[LabelKey, LabelKey | None]:
    """Let another key sign from now on, a new one or the given; return it and the one it replaces.

    What the former has signed stays verifiable; its private half is removed. Leaves `labelling.key.made` and `labelling.key.retired`.
    Raises as `make_missing_keys`.
    """
    return put_in_force(_folder().keys, provider, algorithm, given=given, before=lambda new, old: _record(actor, new, old))


def _record(actor: str, new: LabelKey, old: LabelKey | None) -> None:
    for kind, key in (("labelling.key.made", new), ("labelling.key.retired", old)):
        if key is not None:
            facts: dict[str, object] = {"key": key.id, "provider": key.provider, "algorithm": key.algorithm, "public": key.public}
            records.append(kind=kind, actor=actor, metadata=facts)


def _folder() -> DataFolder:
    folder: DataFolder = settings.DATA_FOLDER
    return folder
