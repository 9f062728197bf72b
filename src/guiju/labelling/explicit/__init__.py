"""The explicit label, which people see or hear: words in text, in pictures, in films and documents; a rhythm or a voice in sounds.

What stands here is light: the gateway labels text with it. `media.mark` labels files; it loads Pillow or PyAV when it is called.
"""

from guiju.labelling.explicit.text import (
    Applied,
    asks_for_words,
    begins_with_label,
    ends_with_label,
    holds_elements,
    prefix,
    stays_readable,
    suffix,
    wants_json,
    without_words,
)

__all__ = [
    "Applied",
    "asks_for_words",
    "begins_with_label",
    "ends_with_label",
    "holds_elements",
    "prefix",
    "stays_readable",
    "suffix",
    "wants_json",
    "without_words",
]
