"""Which call answers which path about files."""

from collections.abc import Callable
from typing import Final

from guiju.gateway.call import Call
from guiju.gateway.media.addresses import PATH
from guiju.gateway.media.images import ImageCall
from guiju.gateway.media.speech import SpeechCall

_POST: Final[dict[str, Callable[..., Call]]] = {
    "/v1/images/generations": ImageCall,
    "/v1/images/edits": ImageCall,
    "/v1/images/variations": ImageCall,
    "/v1/audio/speech": SpeechCall,
}


def find_call(method: str, path: str) -> Callable[..., Call] | None:
    """Return what makes the call for a path; None where there is none."""
    return _POST.get(path) if method == "POST" else None


def is_hosted(method: str, path: str) -> bool:
    """Tell whether somebody asks for a file that is kept for a while."""
    return method in ("GET", "HEAD") and path.startswith(PATH)
