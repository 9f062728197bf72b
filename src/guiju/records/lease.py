"""The recorder's lease: one row, taken and renewed by an update whose condition decides.

It is renewed inside each batch's transaction, so the row is locked while the batch is written: of two recorders that both
believe they hold it, one waits, then finds the row no longer its own. The lease saves work; what keeps records single are
the unique numbers and ids of the records and the cursor of each segment.
"""

import os
import secrets
import socket
from datetime import UTC, datetime, timedelta
from typing import Final

from django.db import IntegrityError, transaction
from django.db.models import Q

from guiju.records.models import Lease

_NAME: Final = "recorder"
_LASTS: Final = timedelta(seconds=3)
_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


def new_holder() -> str:
    """Return a name for this process: machine, process id, and what no other process has."""
    return f"{socket.gethostname()[:100]}:{os.getpid()}:{secrets.token_hex(8)}"


def take(holder: str) -> bool:
    """Take or renew the lease; False when somebody else has it. Call it inside the transaction that it guards."""
    now = datetime.now(UTC)
    free = Q(holder=holder) | Q(until__lt=now)
    before = Lease.objects.filter(name=_NAME).values_list("holder", flat=True).first()
    if before is None:
        try:
            with transaction.atomic():
                Lease.objects.create(name=_NAME, holder=holder, until=now + _LASTS)
        except IntegrityError:
            return False
        return True
    if _is_gone(before):
        free |= Q(holder=before)
    return Lease.objects.filter(free, name=_NAME).update(holder=holder, until=now + _LASTS) == 1


def release(holder: str) -> None:
    """Give the lease back, so that the next recorder need not wait for its end."""
    Lease.objects.filter(name=_NAME, holder=holder).update(until=_NEVER)


def keep_recorder_out() -> None:
    """Wait for the batch that a recorder is writing, and let none begin before this transaction ends.

    For what must not meet a half-written batch: the keys of subjects. On SQLite the transaction's own lock does it.
    """
    Lease.objects.get_or_create(name=_NAME, defaults={"holder": "", "until": _NEVER})
    Lease.objects.select_for_update().get(name=_NAME)


def _is_gone(holder: str) -> bool:
    """Return whether this was a process of this machine that has ended; its lease need not be waited for."""
    machine, _, rest = holder.partition(":")
    number = rest.partition(":")[0]
    if machine != socket.gethostname()[:100] or not number.isdigit():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
