"""What a verify has come to."""

from collections import Counter
from dataclasses import dataclass, field

from ferry.verify.tasks import ReadCounts


@dataclass(slots=True)
class Summary:
    """What was compared (source rows, live items, members of them) and what differs, in members."""

    read: ReadCounts = field(default_factory=ReadCounts)
    kinds: Counter[str] = field(default_factory=Counter)
    unsettled: int = 0
    repaired: int = 0
    """Items."""
    mended: int = 0
    """Of what differed."""

    @property
    def fields(self) -> dict[str, int]:
        """As --json prints it."""
        kinds = self.kinds
        return {
            "rows": self.read.rows,
            "items": self.read.items,
            "members": self.read.members,
            "missing": kinds["missing"] + kinds["double"],
            "extra": kinds["extra"],
            "different": kinds["different"],
            "unsettled": self.unsettled,
            "repaired": self.repaired,
            "left": self.left,
        }

    @property
    def left(self) -> int:
        """What differs still."""
        return sum(self.kinds.values()) - self.mended
