"""C2PA over large films: in pieces where the library verifies them, as a whole elsewhere."""

import os
import sys
from pathlib import Path

import pytest

from guiju.labelling import content_credentials
from guiju.labelling.containers.boxes import Boxes
from guiju.labelling.containers.source import Source
from guiju.labelling.containers.tests.samples import LABEL, run, sample
from guiju.labelling.content_credentials import check, load_credentials, sign
from guiju.labelling.files import write
from guiju.labelling.tests.chains import new_chain

CHAIN = new_chain()


def labelled(name: str) -> bytes:
    return write(sample(name), LABEL)


def test_a_large_film_is_signed_and_examined_in_little_memory(tmp_path: Path) -> None:
    """Its samples are a hole of 96 MB, hashed in pieces."""
    film, length = labelled("faststart.mp4"), 96 * 2**20
    at = film.index(b"mdat") - 4
    (tmp_path / "a.mp4").write_bytes(film[:at] + (len(film) - at + length).to_bytes(4, "big") + film[at + 4 :])
    os.truncate(tmp_path / "a.mp4", len(film) + length)
    files = CHAIN.files(tmp_path)
    code = (
        "import re; from pathlib import Path; from guiju.labelling.content_credentials import *\n"
        "highest = lambda: int(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1])\n"
        f"folder, credentials = Path({str(tmp_path)!r}), load_credentials(*map(Path, {tuple(map(str, files))!r}))\n"
        "library(); before = highest()\n"
        "sign_file(folder / 'a.mp4', folder / 'b.mp4', credentials)\n"
        "print(highest() - before)"
    )
    grown = int(run(sys.executable, "-c", code))
    assert grown < 48 * 1024, f"{grown} KiB"
    assert check(tmp_path / "b.mp4").result == "valid"
    data = bytearray((tmp_path / "b.mp4").read_bytes())
    samples = next(each for each in Boxes(Source(bytes(data))).top() if each.kind == b"mdat")
    data[samples.stop - 1] ^= 1
    assert check(bytes(data)).result == "invalid"


def test_a_film_whose_samples_lie_in_several_parts_is_signed_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library would sign its pieces and then not find them as they were."""
    monkeypatch.setattr(content_credentials, "_PIECES_FROM_BYTES", 0)
    credentials = load_credentials(*CHAIN.files(tmp_path))
    for data in (labelled("fragmented.mp4"), labelled("faststart.mp4") + b"\0\0\0\x0cmdatabcd"):
        assert check(sign(data, credentials)).result == "valid"
