"""`POST /v1/audio/speech`: a text read aloud; the sound carries its label before or after the words.

The text is what the person asked for and what is said in the end, so it is screened as both.
Source: Measures Arts. 4, 12; Labelling Measures Art. 4(3); GB 45438-2025 §5.3.
"""

import asyncio
from typing import Final

from guiju.gateway.call import field_invalid
from guiju.gateway.media.call import ENCODE, MediaCall
from guiju.gateway.media.fetch import save
from guiju.gateway.upstream import media_type
from guiju.labelling.values import Medium

FORMS: Final = ("mp3", "opus", "aac", "flac", "wav")
"""What a client may ask for. `pcm` is samples and nothing else: a file that has no place for a label."""


class SpeechCall(MediaCall):
    """One request for a text to be read aloud."""

    endpoint = "audio.speech"
    medium: Medium = "sound"
    prompt = "input"

    async def _take(self) -> None:
        live_service = self._authenticate()
        self._service = live_service.service
        request = await self._request()
        if not isinstance(request.get("input"), str) or not request["input"]:
            raise field_invalid("input", "非空字符串", "a non-empty string")
        if request.get("response_format") not in (None, *FORMS):
            raise field_invalid(
                "response_format",
                f"{'、'.join(FORMS)} 之一；pcm 没有放置标识的位置",
                f"one of {', '.join(FORMS)}; pcm has no place for a label",
            )
        if request.get("stream_format") not in (None, "audio"):
            raise field_invalid("stream_format", "audio：声音完整之后才能加标识", "audio: a sound can be labelled only when it is whole")
        self._admit(request, live_service)
        await self._examine(live_service)
        self.words({"input": request["input"]}, {"input": request["input"]})
        response = await self._ask("POST", "/audio/speech", ENCODE(request))
        if response.content_type in ("application/json", "text/event-stream") or response.content_type.startswith("text/"):
            raise self.broken(f"it sent {media_type(response)} where a sound was asked for")
        file = self._work("speech")
        try:
            await save(response, file, self.settings.file_bytes, self._wait_for_piece)
        except OSError as problem:
            raise self.broken(f"the connection broke ({type(problem).__name__})") from problem
        made = await self._publish(file, self.id)
        await self._deliver([made])
        published = made.published
        headers = [(b"content-type", published.media_type.encode()), (b"x-content-type-options", b"nosniff"), *self._label_headers()]
        with await asyncio.to_thread(made.path.open, "rb") as opened:
            await self._send_file(opened, published.size_bytes, headers)
