"""Keys of programming interfaces, by the prefixes that their issuers give them."""

import math
import re
from collections import Counter
from typing import Final

from guiju.screening.personal.detectors.detector import IN_FORCE, SECRET, Detector

_FORMS: Final = (
    (r"sk-(?:proj-|svcacct-|admin-|or-v1-|ant-[a-z0-9]{2,8}-|guiju-)?+", "[A-Za-z0-9_-]{20,200}"),
    (r"[sr]k_(?:live|test)_", "[A-Za-z0-9]{16,120}"),
    (r"gh[oprsu]_", "[A-Za-z0-9]{36,100}"),
    (r"github_pat_", "[A-Za-z0-9_]{40,120}"),
    (r"glpat-", "[A-Za-z0-9_-]{20,60}"),
    (r"xox[abeprs]-", "[A-Za-z0-9-]{20,120}"),
    (r"A(?:KIA|SIA)", "[0-9A-Z]{16}"),
    (r"LTAI", "[A-Za-z0-9]{12,26}"),
    (r"AKID", "[A-Za-z0-9]{32}"),
    (r"AIza", "[A-Za-z0-9_-]{35}"),
    (r"hf_", "[A-Za-z0-9]{30,60}"),
    (r"npm_", "[A-Za-z0-9]{36}"),
    (r"pypi-", "[A-Za-z0-9_-]{50,200}"),
    (r"dop_v1_", "[0-9a-f]{64}"),
    (r"nvapi-", "[A-Za-z0-9_-]{40,100}"),
)
"""Prefix → what follows, as issuers publish it or scanners know it. The prefix stays readable: it tells whose key to revoke."""
_ENTROPY_AT_LEAST: Final = 3.0
_TOKEN: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
_LONGEST: Final = 200
_BEGUN: Final = re.compile("|".join(prefix for prefix, _ in _FORMS), re.ASCII)


def _is_random(match: re.Match[str]) -> bool:
    """Tell whether the key looks drawn by lot: `sk-your-api-key-goes-here` does not."""
    key = match["hidden"]
    counts = Counter(key).values()
    entropy = -sum(count / len(key) * math.log2(count / len(key)) for count in counts)
    mixed = any(map(str.isdigit, key)) or (any(map(str.isupper, key)) and any(map(str.islower, key)))
    return mixed and entropy >= _ENTROPY_AT_LEAST


def _begun(text: str) -> int:
    match = _BEGUN.match(text, len(text.rstrip(_TOKEN)))
    return len(text) if match is None or len(text) - match.end() > _LONGEST else match.end()


API_KEY: Final = Detector(
    code="PI-API-KEY",
    zh="接口密钥",
    en="API key",
    risk=SECRET,
    source="Data Security Law Art. 27",
    effective_from=IN_FORCE,
    hold_chars=_LONGEST,
    hints=(
        "sk-",
        "k_live_",
        "k_test_",
        "gho_",
        "ghp_",
        "ghr_",
        "ghs_",
        "ghu_",
        "github_pat_",
        "glpat-",
        "xox",
        "AKI",
        "ASIA",
        "LTAI",
        "AIza",
        "hf_",
        "npm_",
        "pypi-",
        "dop_v1_",
        "nvapi-",
    ),
    patterns=tuple(re.compile(f"(?<![A-Za-z0-9_-]){prefix}(?P<hidden>{key})(?![A-Za-z0-9_-])", re.ASCII) for prefix, key in _FORMS),
    tail=re.compile("[A-Za-z0-9_-]"),
    begun=_begun,
    judge=_is_random,
)
