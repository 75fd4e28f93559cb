"""DynamoDB JSON: attributes as text. The same attribute always gives the same bytes."""

import json
from base64 import b64decode, b64encode
from json.encoder import JSONEncoder
from json.encoder import encode_basestring as quoted
from typing import Any

from rowferry.values import Attribute

__all__ = ["dumps", "loads", "one_line", "quoted"]

_LINE_ENDS = str.maketrans({"\x85": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"})


def _bytes_text(value: Any) -> str:
    if isinstance(value, bytes):
        return b64encode(value).decode("ascii")
    raise TypeError(type(value).__name__)


_ENCODER = JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_bytes_text, check_circular=False)
dumps = _ENCODER.encode
"""The text of an attribute, or of a dictionary of them. Bytes are base64."""


def one_line(text: str) -> str:
    """JSON text with the line ends escaped that JSON itself leaves alone, but some readers split at."""
    return text if text.isascii() else text.translate(_LINE_ENDS)


def loads(text: str | bytes) -> dict[str, Attribute]:
    """Attributes as the low-level client takes them: base64 is decoded to bytes."""
    return {name: _read(value) for name, value in json.loads(text).items()}


def _read(value: Attribute) -> Attribute:
    ((kind, content),) = value.items()
    match kind:
        case "B":
            return {"B": b64decode(content)}
        case "M":
            return {"M": {name: _read(inside) for name, inside in content.items()}}
        case "L":
            return {"L": [_read(inside) for inside in content]}
    return value
