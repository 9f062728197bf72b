"""What each detector finds, what it must leave alone, and what stays readable. All values are made up.

Guarded lines: each `judge` (return True and the near misses go red), each `_BEFORE`/`(?!…)`, each `keep`.
"""

import random

import pytest

from guiju.screening.personal.detectors import CODES, DETECTORS
from guiju.screening.personal.detectors.tests.samples import SAMPLES, escaped, sprinkled, wide
from guiju.screening.personal.finds import NOTHING_SAID, mask, screen_for
from guiju.screening.personal.mask import Mask
from guiju.screening.risks import BY_ID
from guiju.screening.spellings.first_look import units_of
from guiju.screening.values import Policy

MASKS = screen_for(Policy(), "output")
PEM = "-----BEGIN RSA PRIVATE KEY-----\n" + ("MIIEowIBAAKCAQEAx9GkZt3b" * 3 + "\n") * 3

HITS = [
    # code, text, the text masked
    ("PI-RESIDENT-ID", "公民身份号码11010519491231002X。", "公民身份号码110***********002X。"),
    ("PI-RESIDENT-ID", "身份证 110105 19491231 002x", "身份证 110*** ******** 002x"),
    ("PI-RESIDENT-ID", "440524188001010014", "440***********0014"),
    ("PI-RESIDENT-ID", "旧证 110105491231002，", "旧证 110********1002，"),
    ("PI-RESIDENT-ID", "１１０１０５１９４９１２３１００２Ｘ", "１１０***********００２Ｘ"),
    ("PI-RESIDENT-ID", '{"id":"\\n11010519491231002X"}', '{"id":"\\n110***********002X"}'),
    ("PI-MOBILE-PHONE", "打13812345678找我", "打138****5678找我"),
    ("PI-MOBILE-PHONE", "+86 138-1234-5678", "+86 138-****-5678"),
    ("PI-MOBILE-PHONE", "8613812345678", "861******5678"),
    ("PI-MOBILE-PHONE", "1\u200b3\u200b8\u200b12345678", "1\u200b3\u200b8\u200b****5678"),
    ("PI-FIXED-PHONE", "电话(010)62345678", "电话(010)****5678"),
    ("PI-FIXED-PHONE", "0571-8765 4321。", "0571-**** 4321。"),
    ("PI-BANK-CARD", "卡 6222 0212 3456 7890 128", "卡 6222 **** **** **** 128"),
    ("PI-BANK-CARD", "4111111111111111", "4111********1111"),
    ("PI-BANK-CARD", "3782-822463-10005", "3782-******-*0005"),
    ("PI-PASSPORT", "护照号码：E12345678", "护照号码：E1*****78"),
    ("PI-PASSPORT", "Passport no. EA1234567", "Passport no. EA*****67"),
    ("PI-VEHICLE-PLATE", "京A·12345停在门口", "京A·***45停在门口"),
    ("PI-VEHICLE-PLATE", "粤BD12345", "粤B****45"),
    ("PI-ORGANISATION-CODE", "代码91350100M000100Y43", "代码913***********0Y43"),
    ("PI-EMAIL-ADDRESS", "写信到zhang.san@example.com.cn。", "写信到zh***.***@example.com.cn。"),
    ("PI-EMAIL-ADDRESS", "ab_c@mail.example.org.", "ab_*@mail.example.org."),
    ("PI-EMAIL-ADDRESS", "问li@example.com吧", "问li@*******.***吧"),
    ("PI-POSTAL-ADDRESS", "北京市海淀区中关村大街27号1101室", "北京市海淀区中关村大街********"),
    ("PI-POSTAL-ADDRESS", "我家住北京市朝阳区建国路88号。", "我家住北京市朝阳区建国路***。"),
    ("PI-POSTAL-ADDRESS", "深圳市南山区阳光小区3栋2单元501", "深圳市南山区阳光小区********"),
    ("PI-PERSON-NAME", "姓名：张三", "姓名：张*"),
    ("PI-PERSON-NAME", "我叫李小龙，今年二十", "我叫李**，今年二十"),
    ("PI-PERSON-NAME", "联系人: 欧阳娜娜\n", "联系人: 欧***\n"),
    ("PI-PERSON-NAME", '"\\u59d3\\u540d\\uff1a\\u5f20\\u4e09"', '"\\u59d3\\u540d\\uff1a\\u5f20******"'),
    ("PI-API-KEY", "key=sk-proj-abcDEF0123456789ghiJKL9876543210", "key=sk-proj-" + "*" * 32),
    ("PI-API-KEY", "AKIAIOSFODNN7EXAMPL3", "AKIA" + "*" * 16),
    ("PI-PRIVATE-KEY", PEM, PEM[:32] + ("*" * 72 + "\n") * 3),
]
MISSES = [
    ("a check digit that is wrong", "11010519491231002Y 110105194912310021"),
    ("a month that is none", "110105194913310023"),
    ("a province that is none", "99010519491231002X"),
    ("fifteen digits of an order", "202411241234567"),
    ("digits inside a longer run", "0013812345678900"),
    ("letters around", "f13812345678ab"),
    ("a series not in use", "12812345678"),
    ("a fraction", "0.4111111111111111"),
    ("a card with a wrong check digit", "4111111111111112"),
    ("nine characters without a word", "订单E12345678"),
    ("a share", "沪A股12345点"),
    ("a plate too short", "京A1234"),
    ("a code with a wrong check character", "91350100M000100Y44"),
    ("an at sign that is no address", "@张三 a@ @b 1@2 x@y ab@c.1"),
    ("a museum", "故宫博物院位于北京市东城区景山前街4号。"),
    ("a road without a place", "这条路88号2单元301室"),
    ("a city's size", "北京市朝阳区有10个街道，深圳市南山区20号线路"),
    ("a disease", "患者为高血压，"),
    ("a right", "姓名权和肖像权，姓名是什么"),
    ("a word after 我叫", "我叫了一辆车。我叫他来"),
    ("a placeholder", "sk-your-api-key-goes-here-please"),
    ("a package", "scikit-learn sk-learn-contrib-something-long"),
    ("a header alone", "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----"),
    ("base64 that is no token", "eyJub3QiOiJqd3QifQ.eyJhIjoxfQ"),
    ("dates and times", "2024-11-24 10:30:00，2024年11月24日，1700000000，1700000000000"),
    ("figures", "1 234 567 890 元，1,234,567.89，100000000000，3.14159265358979"),
]


@pytest.mark.parametrize(("code", "text", "masked"), HITS)
def test_it_is_found_and_hidden(code: str, text: str, masked: str) -> None:
    found = mask(text, MASKS, NOTHING_SAID)
    assert found.text == masked
    assert [hit.rule for hit in found.hits] == [code]


@pytest.mark.parametrize(("code", "text", "masked"), HITS)
def test_so_it_is_when_the_text_is_cut_in_two_anywhere(code: str, text: str, masked: str) -> None:
    for place in range(len(text) + 1):
        state = Mask(MASKS, NOTHING_SAID)
        assert state.feed(text[:place]) + state.feed(text[place:]) + state.finish() == masked


@pytest.mark.parametrize("text", [text for _, text in MISSES], ids=[name for name, _ in MISSES])
def test_what_only_looks_like_it_is_left_alone(text: str) -> None:
    assert mask(text, MASKS, NOTHING_SAID).text == text


@pytest.mark.parametrize("code", SAMPLES)
def test_made_up_values_are_found_in_every_spelling(code: str) -> None:
    rng = random.Random(3)
    alone = screen_for(Policy(personal_on_output={"*": "pass", code: "mask"}), "output")
    for make in SAMPLES[code]:
        for _ in range(100):
            value = make(rng)
            for spelled in (
                value,
                sprinkled(value, rng),
                escaped(value),
                *(() if code in ("PI-PRIVATE-KEY", "PI-POSTAL-ADDRESS") else (wide(value),)),
            ):
                text = f"前文 {spelled}，后文"
                assert alone.may_find(f"无关\n{text}", units_of(f"无关\n{text}")), spelled
                found = mask(text, alone, NOTHING_SAID)
                assert {hit.rule for hit in found.hits} == {code}, spelled
                assert found.text != text
                assert len(found.text) == len(text)


def test_every_detector_says_what_it_must() -> None:
    assert len(CODES) == len(DETECTORS) == len(SAMPLES)
    for detector in DETECTORS:
        assert detector.code.startswith("PI-")
        assert detector.risk in BY_ID
        assert detector.source
        assert detector.zh
        assert detector.en
        assert detector.hold_chars > 0
