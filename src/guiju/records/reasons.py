"""A reason is more than a sign or two, on the command line as in the console: whoever reads the record later has nothing else."""

from typing import Final

import typer

REASON_CHARACTERS: Final = 4


def reason_option(value: str) -> str:
    """Return the reason without blanks around it; an empty one stays empty, whoever needs one says so.

    Raises BadParameter for one that is too short.
    """
    value = value.strip()
    if value and len(value) < REASON_CHARACTERS:
        raise typer.BadParameter(
            f"“{value}” 不足 {REASON_CHARACTERS} 个字。什么也没有做。请写明理由。 "
            f"It has fewer than {REASON_CHARACTERS} characters. Nothing was done. Say why; it goes into the record."
        )
    return value


def reason_argument(value: str) -> str:
    """Return the reason of a deed that always needs one. Raises BadParameter for one that is too short or empty."""
    if not value.strip():
        raise typer.BadParameter(
            "没有写明理由，什么也没有做。请写明理由。 No reason was given and nothing was done. Say why; it goes into the record."
        )
    return reason_option(value)
