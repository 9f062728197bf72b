"""What a platform shows around content, for each state of Labelling Measures Art. 6, and the label that it then writes.

The wording is ours; both elements that a label must name stand in each text (GB 45438-2025 §5).
"""

from typing import Final

from guiju.labelling.files import Inspection, State
from guiju.labelling.values import FileLabel

NOTICES: Final[dict[State, tuple[str, str]]] = {
    "declared": ("本内容属于人工智能生成合成内容", "This content is generated or synthesised by AI"),
    "possible": ("本内容可能为人工智能生成合成内容", "This content may be generated or synthesised by AI"),
    "suspected": ("本内容疑似为人工智能生成合成内容", "This content is suspected to be generated or synthesised by AI"),
    "none": (
        "发布前请声明：内容是否由人工智能生成合成",
        "Before you publish, declare whether the content is generated or synthesised by AI",
    ),
}
"""State → notice for the public in Chinese and English; for `none` it is the reminder for whoever publishes (Art. 6(4))."""


def propagator_label(found: Inspection, provider: str, number: str, *, suspected: bool = False) -> FileLabel | None:
    """Return the label that a platform writes into a file that somebody published there; None when there is nothing to write.

    A label in the file keeps its property and its producer (`write` sees to that). Without one, "may be" where the user declares and
    "suspected" where traces or the platform's own look (`suspected`) say so. "Is generated" is never said by a platform.
    Source: Labelling Measures Art. 6.
    """
    values = {"declared": "1", "possible": "2", "suspected": "3"}
    if found.damaged is not None:
        return None
    if found.label is not None:
        return FileLabel(label=found.label.label, content_propagator=provider, propagate_id=number)
    state = "suspected" if found.state == "none" and suspected else found.state
    if state in (None, "none", "declared"):
        return None
    return FileLabel(label=values[state], content_propagator=provider, propagate_id=number)
