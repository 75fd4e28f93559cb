"""The result of a verify."""

from collections import Counter
from dataclasses import dataclass, field

from ferry.verify.tasks import ReadCounts


@dataclass(slots=True)
class Summary:
    """Counts of what was compared (source rows, live items, their members), and of differences in members."""

    read: ReadCounts = field(default_factory=ReadCounts)
    kinds: Counter[str] = field(default_factory=Counter)
    unsettled: int = 0
    repaired: int = 0
    """Items."""
    resolved: int = 0
    """Differences that the repair resolved."""

    @property
    def fields(self) -> dict[str, int]:
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
        """Differences that are left."""
        return sum(self.kinds.values()) - self.resolved
