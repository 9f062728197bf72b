"""Made-up values with right check digits, and near misses. None belongs to anybody: they are drawn by a seeded generator."""

import base64
import json
import random
from collections.abc import Callable
from typing import Final

from stdnum import luhn
from stdnum.cn import ric, uscc

_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SIGNS: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ"
_AREAS: Final = ("110105", "310115", "440305", "510107", "330106", "650102")
_PLACES: Final = (
    "北京市朝阳区建国路",
    "上海市浦东新区世纪大道",
    "广东省深圳市南山区科苑路",
    "浙江省杭州市西湖区文三街",
    "四川省成都市武侯区人民南路",
)


def resident_id(rng: random.Random) -> str:
    body = f"{rng.choice(_AREAS)}{rng.randint(1950, 2019)}{rng.randint(1, 12):02}{rng.randint(1, 28):02}{rng.randint(0, 999):03}"
    return body + ric.calc_check_digit(body + "0")


def old_resident_id(rng: random.Random) -> str:
    return f"{rng.choice(_AREAS)}{rng.randint(50, 80)}{rng.randint(1, 12):02}{rng.randint(1, 28):02}{rng.randint(0, 999):03}"


def mobile_phone(rng: random.Random) -> str:
    series, rest = rng.choice(("138", "150", "177", "186", "199")), f"{rng.randint(0, 10**8 - 1):08}"
    return rng.choice((f"{series}{rest}", f"{series}-{rest[:4]}-{rest[4:]}", f"{series} {rest[:4]} {rest[4:]}", f"86{series}{rest}"))


def fixed_phone(rng: random.Random) -> str:
    return rng.choice(("(010)", "010-", "0571-", "（021）", "0755 ")) + str(rng.randint(20_000_000, 89_999_999))


def bank_card(rng: random.Random) -> str:
    first, length = rng.choice((("62", 19), ("62", 16), ("4", 16), ("53", 16), ("62", 17)))
    body = first + "".join(str(rng.randint(0, 9)) for _ in range(length - len(first) - 1))
    number = body + luhn.calc_check_digit(body)
    if length in (16, 19) and rng.random() < 0.3:
        return " ".join(number[at : at + 4] for at in range(0, length, 4))
    return number


def passport(rng: random.Random) -> str:
    return f"护照号码{rng.choice('EGP')}{rng.randint(0, 10**8 - 1):08}"


def vehicle_plate(rng: random.Random) -> str:
    digits = f"{rng.randint(0, 99_999):05}"
    return rng.choice("京沪粤川浙") + rng.choice(_SIGNS) + rng.choice(("", "·")) + rng.choice((digits, "D" + digits))


def organisation_code(rng: random.Random) -> str:
    signs = "0123456789ABCDEFGHJKLMNPQRTUWXY"
    body = "91" + rng.choice(_AREAS) + "".join(rng.choice(signs) for _ in range(9))
    return body + uscc.calc_check_digit(body)


def email_address(rng: random.Random) -> str:
    local = "".join(rng.choices("abcdefghijklmnop0123456789._", k=rng.randint(4, 12))).strip("._")
    return f"x{local}y@{rng.choice(('example.com', 'mail.example.com.cn', 'example.org'))}"


def postal_address(rng: random.Random) -> str:
    detail = rng.choice(("{}号{}室", "{}号院2号楼3单元{}室", "{}弄3号{}室", "{}号1栋{}房"))
    return rng.choice(_PLACES) + detail.format(rng.randint(1, 999), rng.randint(101, 2504))


def person_name(rng: random.Random) -> str:
    lead = rng.choice(("姓名：", "姓名: ", "联系人：", "收件人：", "我叫", "姓名是"))
    return lead + rng.choice("王李张刘陈杨赵黄周吴".replace("刘", "徐")) + rng.choice(("建国", "芳", "文轩", "晓"))


def api_key(rng: random.Random) -> str:
    prefix, length = rng.choice((("sk-", 48), ("sk-proj-", 64), ("ghp_", 36), ("glpat-", 20), ("LTAI", 20)))
    return prefix + "".join(rng.choices(_LETTERS + "0123456789", k=length - 2)) + "a7"


def json_web_token(rng: random.Random) -> str:
    def part(raw: bytes) -> str:
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    head, claims = json.dumps({"alg": "HS256", "typ": "JWT"}), json.dumps({"sub": str(rng.randint(1, 10**9)), "admin": False})
    return ".".join((part(head.encode()), part(claims.encode()), part(rng.randbytes(32))))


def private_key(rng: random.Random) -> str:
    body = base64.b64encode(rng.randbytes(rng.choice((120, 240)))).decode()
    lines = "\n".join(body[at : at + 64] for at in range(0, len(body), 64))
    return f"-----BEGIN PRIVATE KEY-----\n{lines}\n-----END PRIVATE KEY-----"


SAMPLES: Final[dict[str, tuple[Callable[[random.Random], str], ...]]] = {
    "PI-RESIDENT-ID": (resident_id, old_resident_id),
    "PI-MOBILE-PHONE": (mobile_phone,),
    "PI-FIXED-PHONE": (fixed_phone,),
    "PI-BANK-CARD": (bank_card,),
    "PI-PASSPORT": (passport,),
    "PI-VEHICLE-PLATE": (vehicle_plate,),
    "PI-ORGANISATION-CODE": (organisation_code,),
    "PI-EMAIL-ADDRESS": (email_address,),
    "PI-POSTAL-ADDRESS": (postal_address,),
    "PI-PERSON-NAME": (person_name,),
    "PI-API-KEY": (api_key,),
    "PI-JSON-WEB-TOKEN": (json_web_token,),
    "PI-PRIVATE-KEY": (private_key,),
}


def wide(text: str) -> str:
    """Return the text with full-width letters and digits."""
    return "".join(chr(ord(character) + 0xFEE0) if character.isascii() and character.isalnum() else character for character in text)


def sprinkled(text: str, rng: random.Random) -> str:
    """Return the text with invisible characters in it."""
    return "".join(character + "\u200b" * rng.choice((0, 0, 1, 2)) for character in text)


def escaped(text: str) -> str:
    """Return the text as it stands in a JSON string."""
    return json.dumps(text)[1:-1]


def near_miss(text: str, rng: random.Random) -> str:
    """Return the text with one character changed, dropped or doubled."""
    place = rng.randrange(len(text))
    way = rng.randrange(3)
    new = ("", text[place] * 2, rng.choice("0X-. a@王"))[way]
    return text[:place] + new + text[place + 1 :]


GLUE: Final = [
    "",
    "，",
    " ",
    "。",
    "电话",
    "a",
    "1",
    "-",
    "\\",
    "@",
    ".",
    "\u200b",
    "你好",
    "\n",
    "路",
    "北京市朝阳区建国路",
    "姓名：",
    "王",
    "86",
    "(",
    "京A",
    "护照",
]


def planted(seed: int) -> str:
    """A text made of values, near misses and odds and ends, by a seed."""
    rng = random.Random(seed)
    parts = []
    for _ in range(rng.randint(1, 7)):
        value = rng.choice(rng.choice(list(SAMPLES.values())))(rng)
        way = rng.randrange(8)
        value = (
            near_miss(value, rng) if way < 2 else wide(value) if way == 2 else sprinkled(value, rng) if way == 3 else escaped(value) if way == 4
            else value[: rng.randint(1, len(value))] if way == 5 else value
        )  # fmt: skip
        parts += [rng.choice(GLUE), value, rng.choice(GLUE)]
    return "".join(parts)


def cut(text: str, rng: random.Random) -> list[str]:
    """The text in pieces."""
    places = sorted({rng.randint(0, len(text)) for _ in range(rng.randint(0, 30))} | {0, len(text)})
    return [text[a:b] for a, b in zip(places, places[1:], strict=False)]
