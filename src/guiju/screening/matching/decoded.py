"""Terms in encoded text: what runs of base64, hexadecimal and percent-encoding stand for is screened like a further string.

A hit has the path of the text, and the place of the run in it. In an input it is a hit like any other. In an answer it only flags, at the
end of the text: a run cannot be read by itself, and when its end comes, its start has left.
Source: Measures Arts. 4, 14; decision 0027.
"""

from collections.abc import Iterator, Sequence

import msgspec

from guiju.screening.matching.snapshot import Snapshot
from guiju.screening.spellings.encoded import Decoded, decoded_runs, may_be_encoded
from guiju.screening.values import Direction, Hit, Policy
from guiju.screening.view import without_files


def hits_in_encoded(
    strings: Sequence[tuple[str, str]], snapshot: Snapshot, direction: Direction, policy: Policy, known: Sequence[Hit] = ()
) -> list[Hit]:
    """Return the hits in what the runs of a view, (path, text) pairs, stand for; those that are `known` inside a run are left out."""
    runs = list(_runs(strings))
    if not runs:
        return []
    verdict = snapshot.examine_all([(str(place), run.text) for place, (_, run) in enumerate(runs)], direction, policy)
    hits: dict[tuple[str, int, int, str], Hit] = {}
    for hit in verdict.hits:
        path, (start, end, _) = runs[int(hit.path)]
        if not any(each.rule == hit.rule and each.path == path and start <= each.start and each.end <= end for each in known):
            hits[path, start, end, hit.rule] = msgspec.structs.replace(hit, path=path, start=start, end=end)
    return list(hits.values())


def flags_in_encoded(texts: Sequence[tuple[str, str]], snapshot: Snapshot, policy: Policy, known: Sequence[Hit] = ()) -> list[Hit]:
    """Return what stands in the runs of an answer's texts, (path, text) pairs. It only flags."""
    encoded = [each for each in texts if may_be_encoded(each[1])]
    if not encoded:
        return []
    found = hits_in_encoded(encoded, snapshot, "output", policy, known)
    return [msgspec.structs.replace(hit, action="deliver", confidence="low") for hit in found]


def _runs(strings: Sequence[tuple[str, str]]) -> Iterator[tuple[str, Decoded]]:
    """Yield the runs with their paths. A file that the view has decoded already is not decoded again."""
    for path, text in without_files(strings):
        if may_be_encoded(text):
            for run in decoded_runs(text):
                yield path, run
