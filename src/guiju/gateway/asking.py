"""A call that asks an upstream: who was asked for what under which policy, and what chats and files say alike of how it went."""

import asyncio
from collections.abc import Sequence
from typing import Final

from guiju.core.errors import GuijuError
from guiju.gateway import errors
from guiju.gateway.causation import NOTHING_TOLD
from guiju.gateway.guarded import GuardedCall
from guiju.gateway.inputs import warnings
from guiju.gateway.sample import review_mark
from guiju.gateway.upstream import UpstreamClient, harmless
from guiju.screening.classifier.model import Classifier
from guiju.screening.values import Hit, Policy

NOT_EXAMINED: Final = (errors.NOT_EXAMINED, errors.GUARD_UNAVAILABLE)
"""The errors of what could not be examined."""
_NO_POLICY: Final = Policy()


class AskingCall(GuardedCall):
    """A call whose answer comes from an upstream."""

    _upstream: UpstreamClient | None = None
    _model = ""
    _told = NOTHING_TOLD
    _policy: Policy = _NO_POLICY
    """The policy of the service, as it is for who reads."""
    _judge: Classifier | None = None
    """Set where the policy may act on what the classifier says."""

    def watch_if_slow(self) -> None:
        """Begin to watch the client of a call whose upstream takes long; called by the sweeper."""
        if self._watcher is None and self.waits_for in ("first_byte", "next_piece"):
            self._watcher = asyncio.create_task(self.watch())

    def broken(self, reason: str) -> GuijuError:
        """Return the error of an upstream's answer that is none."""
        assert self._upstream is not None
        error = GuijuError(errors.UPSTREAM_BROKEN, upstream=self._upstream.upstream.name, reason=reason)
        return harmless(error, self._live.snapshot, self._policy)

    def _late(self) -> GuijuError:
        if self.waits_for == "body" or self._upstream is None:
            return super()._late()
        upstream = self._upstream.upstream
        limit_ms = upstream.first_byte_timeout_ms if self.waits_for == "first_byte" else upstream.idle_timeout_ms
        return GuijuError(errors.UPSTREAM_TIMEOUT, upstream=upstream.name, limit_ms=limit_ms)

    def _mark(self, metadata: dict[str, object], hits: Sequence[Hit] = ()) -> None:
        """Say in a closing record that a person will review the call, where one will."""
        service = self._service
        if service is not None:
            mark = review_mark(self.id, (self._verdict.hits, hits), self._live.bundle.pseudonym_key, service.review_sample_per_mille)
            if mark:
                metadata["review"] = mark

    def _label_headers(self, number: str = "") -> list[tuple[bytes, bytes]]:
        headers = [(b"x-aigc-label", b"1"), (b"x-aigc-produceid", (number or self.id).encode())]
        if self._verdict.action == "warn":
            headers += warnings(self._verdict.hits)
        return headers
