"""A key that cannot be read is a failure of ours: 502 and its reason in the log, never 500, and never a request without the key.

Guarded lines: `except KeyUnusable` in `UpstreamClient._key`; `self._pool = pool` as the last step of `_opened`.
"""

from pathlib import Path

import msgspec
import pytest

from guiju.gateway.tests.rig import ScriptedUpstream, Site, Worker


@pytest.mark.parametrize("content", [None, b"", b"sk-one\nsk-two\n", "sk-密钥".encode(), b"\xff"])
def test_an_unusable_key_file_is_told_recorded_and_looked_for_again(
    own_site: Site, upstream: ScriptedUpstream, start: list[Worker], tmp_path: Path, content: bytes | None
) -> None:
    key = tmp_path / "model.key"
    if content is not None:
        key.write_bytes(content)
    keyed = tuple(msgspec.structs.replace(each, api_key_file=str(key) if each.name == "up" else "") for each in own_site.bundle.upstreams)
    own_site.publish(msgspec.structs.replace(own_site.bundle, upstreams=keyed))
    start.append(Worker(own_site, tmp_path / "worker.log"))
    [worker] = start
    asked = len(upstream.calls)
    for stream in (False, True, False):
        reply = worker.chat("ok", stream=stream)
        assert (reply.status, reply.json["error"]["code"]) == (502, "upstream_unreachable")
        assert str(key) not in reply.body.decode()
        closing = own_site.closing(reply.headers["x-request-id"])
        assert (closing.kind, closing.metadata["error"]) == ("gateway.upstream.failed", "UPSTREAM-UNREACHABLE")
        assert "key" in str(closing.metadata["detail"])
    listed = worker.get("/v1/models", "sk-bare")
    assert (listed.status, listed.json["error"]["code"]) == (502, "models_unlisted")
    assert len(upstream.calls) == asked
    log = (tmp_path / "worker.log").read_text()
    assert f"upstream up is not asked: its key {key}" in log
    assert "Traceback" not in log
    assert "sk-one" not in log

    key.write_text("sk-right\n")
    assert worker.chat("ok").status == 200
    assert "authorization: bearer sk-right" in upstream.calls[-1].head.lower()
