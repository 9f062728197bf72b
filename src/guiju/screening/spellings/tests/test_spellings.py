"""A term is found in the spellings that it asks for, at exact places, streamed as whole; and in no other.

Guarded lines, each seen red when changed: `safe = min(places)` in `gates.py`, `max(place, 1)` in `expand.py` (the parts of the first character),
`product(…)` in `_ways_of_reading` (重 is read in two ways), the deduplication in `Snapshot._find`.
"""

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guiju.core.errors import GuijuError
from guiju.screening.libraries.library import parse_csv
from guiju.screening.matching.snapshot import Snapshot
from guiju.screening.matching.tests.test_gate import allowed, cut, streamed
from guiju.screening.spellings import make
from guiju.screening.spellings.expand import EXPANSIONS, PATTERNS_AT_MOST, expansions
from guiju.screening.spellings.fold import fold, fold_exactly, origins
from guiju.screening.spellings.readings import READINGS, reading
from guiju.screening.spellings.tables import han_forms, parts, shapes, syllables
from guiju.screening.values import PASS, LibraryEntry, Policy

POLICY = Policy()
FOUND = [
    ("办假证件", "pinyin", "我要banjiazhengjian吗", "banjiazhengjian"),
    ("办假证件", "pinyin", "我要ban jia zheng jian吗", "ban jia zheng jian"),
    ("办假证件", "pinyin", "我要办jia证件吗", "办jia证件"),
    ("办假证件", "pinyin", "我要办*ＪＩＡ*证件吗", "办*ＪＩＡ*证件"),
    ("办假证件", "pinyin", "我要办j ia证件吗", ""),
    ("银行卡", "pinyin", "卖yinhang卡", "yinhang卡"),
    ("办假证件", "split", "办假言正件", "办假言正件"),
    ("办假证件", "split", "办假讠正件", "办假讠正件"),
    ("海洛因", "split", "氵每氵各囗大", "氵每氵各囗大"),
    ("海洛因", "split", "水 每.洛因", "水 每.洛因"),
    ("办假证件", "reversed", "要件证假办吗", "件证假办"),
    ("办假证件", "reversed", "要件 证假-办吗", "件 证假-办"),
    ("办假证件", "homophone", "去半甲正建", "半甲正建"),
    ("办假证件", "homophone", "半甲", ""),
    ("重庆火锅", "homophone", "虫庆火锅", "虫庆火锅"),
    ("草泥马呀", "homophone", "艹尼🐎丫", "艹尼🐎丫"),
    ("一吧银行", "homophone", "18引航", "18引航"),
    ("办假证件", "shape", "办殷让伸", "办殷让伸"),
    ("加微信号", "leet", "请➕微信号", "➕微信号"),
    ("我要毒药", "leet", "莪要毒药", "莪要毒药"),
    ("make a bomb", "leet", "to m4ke @ b0mb", "m4ke @ b0mb"),
    ("sell pills", "leet", "se11 pi|1$", "se11 pi|1$"),
    ("加微信号", "~jwx|~加v", "快jwx吧", "jwx"),
    ("加微信号", "~jwx", "快ajwxb", ""),
]


def entry(term: str, spellings: str = "", *exceptions: str, id: str = "kw-1") -> LibraryEntry:
    return LibraryEntry(id, term, "A.1.h", "block", exceptions, "both", tuple(filter(None, spellings.split("|"))))


@pytest.mark.parametrize(("term", "spellings", "text", "hit"), FOUND)
def test_a_spelling_is_found_where_it_is_asked_for_and_at_its_place(term: str, spellings: str, text: str, hit: str) -> None:
    asking = Snapshot([entry(term, spellings)], "test")
    hits = asking.examine(text, "output", POLICY).hits
    assert "".join(text[each.start : each.end] for each in hits) == hit
    assert asking.finds_nothing([text]) <= (not hits)
    assert streamed(asking.gate(POLICY), list(text)) == allowed(asking, text)
    plain = Snapshot([entry(term)], "test")
    assert plain.examine(text, "output", POLICY) is PASS
    assert asking.examine("x" + term + "x", "output", POLICY).hits == plain.examine("x" + term + "x", "output", POLICY).hits


WORDS = ["办假证件", "海洛因", "银行卡", "加微信号", "重庆毒药", "make a bomb"]
PIECES = [
    "言正",
    "氵",
    "每",
    "jia",
    "zheng",
    "件证假办",
    "半",
    "甲",
    "正",
    "🐎",
    "➕",
    "b0mb",
    "@",
    "m4ke ",
    "因洛",
    "🐎",
    "yin",
    "hang",
    "x",
    "，",
    " ",
]
ALIKE: dict[str, dict[str, list[str]]] = {name: {} for name in READINGS}
for name in READINGS:
    for code in (*range(0x20, 0x250), *range(0x4E00, 0x9FA6), *range(0x1F300, 0x1F600)):
        ALIKE[name].setdefault(fold(chr(code), reading(name)), []).append(chr(code))


@st.composite
def written(draw: st.DrawFn) -> str:
    """A term in one of its spellings, more or less."""
    folded = fold(draw(st.sampled_from(WORDS)))
    way = draw(st.sampled_from([*EXPANSIONS, *READINGS]))
    if way in EXPANSIONS:
        found = [text for text, _ in expansions(folded, [way])] or [folded]
        return draw(st.sampled_from(found))
    return "".join(draw(st.sampled_from([each, *ALIKE[way].get(fold(each, reading(way)), "")[:40]])) for each in folded)


libraries = st.lists(
    st.builds(
        lambda word, names, longer: (word, "|".join(sorted(names)), (longer,) if longer else ()),
        st.sampled_from(WORDS),
        st.sets(st.sampled_from([*READINGS, *EXPANSIONS, "~jwx", "~件证"])),
        st.sampled_from(["", "罪", "案件"]),
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda row: row[0],
).map(lambda rows: [entry(word, names, *(word + x for x in longer), id=f"kw-{n}") for n, (word, names, longer) in enumerate(rows)])
texts = st.lists(st.one_of(written(), st.sampled_from([*PIECES, *WORDS, "罪", "案件", "jwx"])), max_size=7).map("".join)


@settings(max_examples=400, deadline=None)
@given(libraries, texts, st.lists(st.integers(0, 1000), max_size=8))
def test_streamed_equals_whole_for_every_cut(library: list[LibraryEntry], text: str, places: list[int]) -> None:
    snapshot = Snapshot(library, "test")
    whole = allowed(snapshot, text)
    assert streamed(snapshot.gate(POLICY), cut(text, places)) == whole
    assert streamed(snapshot.gate(POLICY), list(text)) == whole
    assert not (whole[1] and snapshot.finds_nothing([text]))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(READINGS), st.one_of(st.text(st.characters(), max_size=20), texts))
def test_a_reading_is_one_for_one_and_the_same_fast_as_exact(name: str, text: str) -> None:
    way = reading(name)
    exact = fold_exactly(text, way)
    assert fold(text, way) == "".join(exact.characters)
    assert origins(text, way).tolist() == exact.starts


@pytest.mark.parametrize("name", READINGS)
def test_a_reading_of_every_code_point(name: str) -> None:
    """Fast as exact, and what a reading gives is read as itself."""
    way = reading(name)
    for first in range(0, 0x110000, 0x800):
        block = "".join(map(chr, range(first, first + 0x800)))
        once = fold(block, way)
        assert once == "".join(fold_exactly(block, way).characters)
        assert fold(once, way) == once
    assert numpy.count_nonzero(way.table == 1) < 20_000


@pytest.mark.parametrize("name", EXPANSIONS)
def test_expansions_are_bounded_and_never_the_term(name: str) -> None:
    for term in [*(fold(word) for word in WORDS), "银行重庆长乐海洛因" * 7, "赌" * 60, "abc" * 20]:
        found = [text for text, _ in expansions(term, [name])]
        assert len(found) <= PATTERNS_AT_MOST
        assert len(set(found)) == len(found)
        assert term not in found


def test_an_exception_excuses_in_every_reading() -> None:
    snapshot = Snapshot([entry("办假证件", "homophone|shape|leet", "办假证件罪")], "test")
    assert snapshot.examine("犯办假证件罪", "output", POLICY) is PASS
    assert snapshot.examine("犯半甲正建罪", "output", POLICY) is PASS
    assert len(snapshot.examine("犯半甲正建吗", "output", POLICY).hits) == 1


WRONG = ["homophones", "homophone", "shape", "reversed", "~", "~a", "~赌博", "~" + "长" * 65, "|".join(f"~ab{n}" for n in range(17))]


@pytest.mark.parametrize("spellings", WRONG)
def test_a_spelling_that_the_term_is_too_short_for_is_refused_with_its_line(spellings: str) -> None:
    with pytest.raises(GuijuError) as refused:
        parse_csv(f"term,risk,spellings\n赌博,A.1.h,{spellings}\n".encode())
    (problem,) = refused.value.facts["problems"]
    assert (problem.line, problem.column_name) == (2, "spellings")


def test_a_library_without_the_column_keeps_its_version_and_one_with_it_comes_back() -> None:
    plain, empty = (parse_csv(raw.encode()) for raw in ("term,risk\n办假证件,A.1.h\n", "term,risk,spellings\n办假证件,A.1.h,\n"))
    assert plain == empty
    assert b"spellings" not in plain.csv
    asking = parse_csv("term,risk,spellings\n办假证件,A.1.h,pinyin | split|~bjz\n".encode())
    assert asking.entries[0].spellings == ("pinyin", "split", "~bjz")
    assert parse_csv(asking.csv) == asking
    assert asking.version != plain.version


def test_the_tables_are_those_of_their_sources_and_folded() -> None:
    assert make.FOLDER.joinpath("han.table").read_text("utf-8") == make.han()
    assert make.FOLDER.joinpath("syllables.table").read_text("utf-8") == make.syllables()
    assert not set(han_forms()) & set(han_forms().values())
    assert {han_forms()[form] for form in "鉅钜"} == {"巨"}
    assert "欠" not in han_forms()
    assert all(fold(character) == character for character in syllables())
    assert all(fold(together) == together for together in shapes())
    assert all(fold(way) == way and len(way) > 1 for ways in parts().values() for way in ways)
    assert syllables()["行"][:2] == ("xing", "hang")
    assert "女表" in parts()["婊"]
