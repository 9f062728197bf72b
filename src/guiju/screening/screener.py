"""The Screener: screening as a Python value, without a server, a database or Django.

>>> from guiju.screening import Screener
>>> screener = Screener()
>>> screener.examine("请问办理假毕业证会被判几年？").outcome
'pass'
>>> verdict = screener.examine("本店代.辦.假.身.份.證")
>>> verdict.outcome, verdict.action, verdict.hits[0].risk, (verdict.hits[0].start, verdict.hits[0].end)
('hit', 'refuse', 'A.1.h', (2, 13))

What it says is what the gateway says with the same library and policy: both ask the same `Snapshot`.
Source: Measures Arts. 4, 14; design, promise 1.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec

from guiju.core.errors import GuijuError, Text, define
from guiju.screening.classifier.model import Classifier
from guiju.screening.examiner import Examiner
from guiju.screening.libraries.library import Library, parse_csv, parse_yaml, starter_library
from guiju.screening.matching.conversation import source_of
from guiju.screening.matching.snapshot import Snapshot
from guiju.screening.outlet import Outlet
from guiju.screening.personal.finds import NOTHING_SAID, screen_for
from guiju.screening.risks import RISKS
from guiju.screening.values import ENDS, Direction, Hit, LibraryEntry, Policy, Verdict
from guiju.screening.view import paths
from guiju.screening.watched import Watched

BATCH_CHARACTERS: Final = 65_536
"""Texts are examined together up to about this size: large enough that a pass costs little, small enough for the processor's cache."""
_BATCH_TEXTS: Final = 4_096
POLICY: Final = Policy()
"""The policy of a service that sets none: refuse an input, stop an answer."""
_NO_DETECTORS: Final = Policy(personal_on_output={"*": "pass"})

SCREEN_SERVICE = define(
    "SCREEN-SERVICE",
    status=404,
    kind="not_found_error",
    zh=Text("数据目录 {folder} 的运行包中没有服务“{service}”。", "没有审查任何文本。", "运行包中的服务：{known}。"),
    en=Text("The bundle in the data folder {folder} has no service '{service}'.", "Nothing was examined.", "The services it has: {known}."),
)
SCREEN_LIBRARY = define(
    "SCREEN-LIBRARY",
    status=400,
    kind="invalid_request_error",
    zh=Text("无法读取关键词库文件 {path}：{reason}。", "没有审查任何文本。", "请核对路径和权限。"),
    en=Text("The keyword library {path} cannot be read: {reason}.", "Nothing was examined.", "Check the path and the permissions."),
)


class Screener:
    """A library, a policy, the detectors and perhaps the classifier, ready to examine texts. Immutable; may be shared by threads.

    `library` is the path of a CSV or YAML file, a `Library`, or entries; without it the starter library, which leaves six risks
    empty on purpose (`uncovered`). Prompt attacks are looked for in inputs; they flag unless the policy refuses them, and where it lets them
    pass they are not looked for. Personal information is looked for unless `detectors` is off. With `classifier` each text costs some
    30 µs more; its finds flag, and do more only where a row of the policy names their confidence. Build it once: 10,000 terms take
    about 0.2 s. Raises LIBRARY-INVALID with every mistake and its line, SCREEN-LIBRARY, CLASSIFIER-DAMAGED.
    """

    def __init__(
        self, library: str | Path | Library | Iterable[LibraryEntry] | None = None, policy: Policy = POLICY, version: str = "", *,
        detectors: bool = True, classifier: bool = False,
    ) -> None:  # fmt: skip
        entries, own_version = _entries(library)
        self.policy = policy
        self.version = version or own_version
        """The version of the library: for a file the SHA-256 of its rows, as in records."""
        self.has_detectors = detectors
        self.has_classifier = classifier
        self._snapshot = Snapshot(entries, self.version)
        self._examiner = Examiner(self._snapshot, detectors, Classifier.load() if classifier else None)

    @classmethod
    def of_data_folder(cls, folder: str | Path, service: str = "", *, detectors: bool = True, classifier: bool = False) -> "Screener":
        """Return what is in force in a data folder: its library, and the policy of the service (the first one without a name).

        Reads the signed bundle and no database. Raises BUNDLE-INVALID, SCREEN-SERVICE and the KEY- errors.
        """
        from guiju.core.keys import load_accepted_public_keys
        from guiju.core.layout import DataFolder
        from guiju.gateway.bundle import current_hash, load_bundle

        data = DataFolder(Path(folder).absolute())
        bundle = load_bundle(data.bundles, current_hash(data.bundles), *load_accepted_public_keys(data.keys))
        policies = {each.id: each.policy for each in bundle.services}
        if service not in policies and (service or not policies):
            raise GuijuError(SCREEN_SERVICE, folder=data.root, service=service, known="、".join(policies) or "–")
        policy = policies[service or next(iter(policies))]
        return cls(bundle.library, policy, bundle.library_version, detectors=detectors, classifier=classifier)

    @property
    def entries(self) -> tuple[LibraryEntry, ...]:
        """The rows of the library."""
        return self._snapshot.entries

    @property
    def uncovered(self) -> tuple[str, ...]:
        """The risks for which the library has no term: a pass says nothing about them.

        >>> Screener().uncovered[:3]
        ('A.1.a', 'A.1.b', 'A.1.c')
        """
        covered = {entry.risk for entry in self.entries}
        return tuple(risk.id for risk in RISKS if risk.id not in covered)

    @property
    def classifier_version(self) -> str:
        """The SHA-256 of the classifier's weights; empty without a classifier."""
        classifier = self._examiner.classifier
        return classifier.version if classifier is not None else ""

    def examine(self, text: str, direction: Direction = "input") -> Verdict:
        """Return the verdict on one text; spans are characters of it.

        >>> from guiju.screening.values import LibraryEntry
        >>> screener = Screener([LibraryEntry("kw-1", "赌博", "A.1.h", exceptions=("赌博罪",))])
        >>> screener.examine("他因赌博罪获刑").outcome
        'pass'
        >>> [(hit.start, hit.end) for hit in screener.examine("一起来賭 博吧").hits]
        [(3, 6)]
        >>> [(hit.rule, hit.action) for hit in screener.examine("我的邮箱是 someone@example.com").hits]
        [('PI-EMAIL-ADDRESS', 'warn')]
        """
        return self._examiner.examine_all([("", text)], direction, self.policy)

    def examine_many(self, texts: Iterable[str], direction: Direction = "input") -> Iterator[Verdict]:
        """Yield the verdict on each text, in order. Texts are taken as they are needed, up to 4,096 or about 65,536 characters ahead.

        >>> [verdict.outcome for verdict in Screener().examine_many(["你好", "代办假身份证", "再见"])]
        ['pass', 'hit', 'pass']
        """
        coming = iter(texts)
        while batch := _batch(coming):
            yield from self._examiner.examine_each(batch, direction, self.policy)

    def examine_messages(self, messages: Sequence[Mapping[str, object]], direction: Direction = "input") -> Verdict:
        """Return the verdict on messages in the form of the Chat Completions API; every string in them is examined, and a hit has its path.

        >>> messages = [{"role": "user", "content": [{"type": "text", "text": "代办假身份证"}]}]
        >>> {hit.path for hit in Screener().examine_messages(messages).hits}
        {'messages[0].content[0].text'}
        """
        given = list(messages)
        return self._examiner.examine_all(paths({"messages": given}), direction, self.policy, partial(source_of, messages=given))

    def stream(self) -> "Stream":
        """Return the state that screens one answer while it streams.

        >>> stream = Screener().stream()
        >>> stream.feed("可以找人代办假"), stream.feed("身份证。"), stream.stopped
        ('可以找人', '', True)
        >>> stream.hit.risk, stream.hit.start
        ('A.1.h', 4)
        """
        screen = screen_for(self.policy if self.has_detectors else _NO_DETECTORS, "output")
        outlet = Outlet(self._snapshot.trie(self.policy, "output"), screen, NOTHING_SAID)
        classifier = self._examiner.classifier
        return Stream(outlet if classifier is None else Watched(outlet, classifier, self.policy), self.policy)


class Stream:
    """One answer on its way out: send what `feed` and `finish` return; stop when `stopped` is true.

    For every way of cutting the text, what leaves is what examining the whole would allow; personal information leaves masked. Rows of
    severity `flag`, and risks that the policy delivers, stop nothing and are not told here: `examine` the whole text afterwards for them.
    """

    def __init__(self, outlet: Outlet | Watched, policy: Policy) -> None:
        self._outlet = outlet
        self._policy = policy

    def feed(self, piece: str) -> str:
        """Take the next piece and return the text that may leave now, possibly empty."""
        return self._outlet.feed(piece)

    def finish(self) -> str:
        """Say that the text is complete and return what may leave of the rest."""
        return self._outlet.finish()

    @property
    def held(self) -> str:
        """What was fed and has not left: it could still become a hit."""
        return self._outlet.held

    @property
    def stopped(self) -> bool:
        """Whether a hit ended the text."""
        return self._outlet.stopped

    @property
    def hit(self) -> Hit | None:
        """The hit that ended the text. Of a term or of what is masked nothing has left; a clause that the classifier stopped has."""
        return next((hit for hit in self.hits if hit.action in ENDS), None) if self.stopped else None

    @property
    def hits(self) -> tuple[Hit, ...]:
        """What ended the text or was masked in it, or was judged by the classifier."""
        return tuple(self._outlet.hits("", self._policy))


def _entries(library: str | Path | Library | Iterable[LibraryEntry] | None) -> tuple[tuple[LibraryEntry, ...], str]:
    """Return the rows and their version."""
    if library is None:
        library = starter_library()
    elif isinstance(library, (str, Path)):
        library = _read(Path(library))
    if isinstance(library, Library):
        return library.entries, library.version
    entries = tuple(library)
    return entries, hashlib.sha256(msgspec.msgpack.encode(entries)).hexdigest()


def _read(path: Path) -> Library:
    try:
        raw = path.read_bytes()
    except OSError as problem:
        raise GuijuError(SCREEN_LIBRARY, path=path, reason=problem.strerror) from problem
    return (parse_yaml if path.suffix.lower() in (".yaml", ".yml") else parse_csv)(raw, path.name)


def _batch(coming: Iterator[str]) -> list[str]:
    """Take texts until there are enough for one pass; empty at the end."""
    batch: list[str] = []
    size = 0
    for text in islice(coming, _BATCH_TEXTS):
        batch.append(text)
        size += len(text) + 1
        if size >= BATCH_CHARACTERS:
            break
    return batch
