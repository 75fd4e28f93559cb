"""How MySQL's multi-byte character sets are cut into characters, and the Python codec nearest to each."""

import re
from typing import NamedTuple

_PAIRS = rb"[\x00-\x80\xff]|[\x81-\xfe][\x00-\xff]"
_SHIFT_JIS = rb"[\x00-\x80\xa0-\xdf\xfd-\xff]|[\x81-\x9f\xe0-\xfc][\x00-\xff]"
_EUC_JP = rb"[\x00-\x8d\x90-\xa0\xff]|\x8f[\xa1-\xfe]{2}|[\x8e\xa1-\xfe][\x00-\xff]"
_GB18030 = rb"[\x00-\x80\xff]|[\x81-\xfe](?:[0-9][\x81-\xfe][0-9]|[^0-9])"


class Rule(NamedTuple):
    """A Python codec, and a pattern of one character as it is stored."""

    codec: str
    unit: re.Pattern[bytes]


def _rule(codec: str, unit: bytes) -> Rule:
    return Rule(codec, re.compile(unit, re.DOTALL))


MULTI_BYTE = {
    "big5": _rule("big5", _PAIRS),
    "cp932": _rule("cp932", _SHIFT_JIS),
    "eucjpms": _rule("euc_jp", _EUC_JP),
    "euckr": _rule("cp949", _PAIRS),
    "gb18030": _rule("gb18030", _GB18030),
    "gb2312": _rule("gb2312", _PAIRS),
    "gbk": _rule("gbk", _PAIRS),
    "sjis": _rule("shift_jis", _SHIFT_JIS),
    "ujis": _rule("euc_jp", _EUC_JP),
}


def private_use(code: bytes) -> str:
    r"""
    The private use character of a user-defined EUC-JP code (rows 85 to 94); `?` for any other.

    >>> private_use(b"\xf5\xa1"), private_use(b"\x8f\xf5\xa1")
    ('\ue000', '\ue3ac')
    """
    *plane, row, cell = code if len(code) > 1 else (0, 0)
    if row < 0xF5 or cell < 0xA1:
        return "?"
    return chr(0xE000 + 940 * len(plane) + 94 * (row - 0xF5) + cell - 0xA1)
