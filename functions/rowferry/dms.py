from dataclasses import dataclass
from typing import Any


@dataclass
class D:
    document: dict[str, Any]


def document(x: Any) -> D:
    return D({})
