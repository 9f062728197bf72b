"""MP4, MOV and M4A: the label is the value of the key `AIGC` in moov.udta.meta.

Read as well: the same in other places, iTunes' freeform entries, comments and user data with the JSON, XMP in Adobe's box or an item.
Source: TC260-PG-20257A (video guide), TC260-PG-202510A (audio guide); ISO/IEC 14496-12.
"""

from typing import Final

from guiju.labelling.containers import described, heif
from guiju.labelling.containers.brands import family
from guiju.labelling.containers.film import walk
from guiju.labelling.containers.packets import read_packets, without_labels
from guiju.labelling.containers.settled import settled
from guiju.labelling.containers.source import Broken, Edit, Found, Source

NAME: Final = "MP4"


def sniff(head: bytes) -> bool:
    """Tell whether the file begins as a film or a sound of this family; old QuickTime has no brands and is told by its boxes."""
    return family(head) == "film"


def examine(source: Source) -> Found:
    """Read the boxes, and those that may hold a label whole. Raises Broken, also for a lone segment without the film's head."""
    film = walk(source)
    if film.moov is None:
        raise Broken("there is no film's head (moov): it is cut, or a segment alone", film.end)
    labels = described.find_labels(film, NAME.lower())
    boxed = read_packets(film)
    pictures = heif.read_pictures(film)

    def place(inner: str) -> list[Edit]:
        changes, placed = heif.without_label(film, pictures)
        return settled(film, [*changes, *without_labels(boxed), *described.changes_for(film, labels, inner)], placed)

    return heif.told(NAME.lower(), film, labels, boxed, pictures, place)
