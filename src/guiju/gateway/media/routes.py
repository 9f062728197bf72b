"""Which call answers which path about files."""

from collections.abc import Callable
from typing import Final

from guiju.gateway.call import Call
from guiju.gateway.media.addresses import PATH
from guiju.gateway.media.images import ImageCall
from guiju.gateway.media.speech import SpeechCall
from guiju.gateway.media.videos import PATH as VIDEO
from guiju.gateway.media.videos import VideoGet, VideoOrder

_POST: Final[dict[str, Callable[..., Call]]] = {
    "/v1/images/generations": ImageCall,
    "/v1/images/edits": ImageCall,
    "/v1/images/variations": ImageCall,
    "/v1/audio/speech": SpeechCall,
    "/v1/videos": VideoOrder,
}


def find_call(method: str, path: str) -> Callable[..., Call] | None:
    """Return what makes the call for a path; None where there is none."""
    if method == "POST":
        return _POST.get(path)
    return VideoGet if method == "GET" and VIDEO.fullmatch(path) else None


def is_hosted(method: str, path: str) -> bool:
    """Tell whether somebody asks for a file that is kept for a while."""
    return method in ("GET", "HEAD") and path.startswith(PATH)
