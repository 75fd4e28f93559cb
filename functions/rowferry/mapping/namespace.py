"""Which names a source may write in its items: those of two sources of one target must not overlap."""

from dataclasses import dataclass

from rowferry.mapping.table import Layout, TableMapping
from rowferry.mapping.template import Template


@dataclass(frozen=True, slots=True)
class AttributeNames:
    """
    The names `fixed`, and any name that begins with `open` (None: no others).

    `container` is a map or set attribute with its kind; `inside` are the names of the members in it, because
    several sources may share a container.
    """

    fixed: frozenset[str]
    open: str | None = None
    container: tuple[str, str] | None = None
    inside: "AttributeNames | None" = None

    def clash(self, other: "AttributeNames") -> str | None:
        """A name that both may write, or the common beginning, for a message; None if they cannot overlap."""
        shared = self.container is not None and self.container == other.container
        if shared and self.inside and other.inside:
            return self.inside.clash(other.inside)
        for one, two in ((self, other), (other, self)):
            for name in one.every:
                if name in two.every or (two.open is not None and name.startswith(two.open)):
                    return repr(name)
        if self.open is not None and other.open is not None:
            longer, shorter = sorted((self.open, other.open), key=len, reverse=True)
            return f"names that begin with {longer!r}" if longer.startswith(shorter) else None
        return None

    @property
    def every(self) -> frozenset[str]:
        return self.fixed | {self.container[0]} if self.container else self.fixed


def names_of(table: TableMapping) -> AttributeNames:
    """The names that a source may write, apart from the key."""
    if table.layout is Layout.ITEM_PER_ROW:
        return _columns(table)
    named = _member(table)
    if table.attribute is None:
        return named
    kind = table.layout + (table.separator if table.layout is Layout.STRING_SET else "")
    return AttributeNames(frozenset(), None, (table.attribute, kind), named)


def _member(table: TableMapping) -> AttributeNames:
    name = table.member_name
    if isinstance(name, Template):
        begin = table.prefix + name.texts[0]
        return AttributeNames(frozenset(), begin) if name.columns else AttributeNames(frozenset({begin}))
    return AttributeNames(frozenset(), table.prefix)


def _columns(table: TableMapping) -> AttributeNames:
    fixed = {name for name, _ in table.attributes} | ({table.ttl.attribute} if table.ttl else set())
    if table.attribute is not None:
        return AttributeNames(frozenset(fixed | {table.attribute}))
    fixed |= {rule.name for rule in table.rules.values() if rule.name}
    if table.include is None:
        return AttributeNames(frozenset(fixed), table.prefix)
    return AttributeNames(
        frozenset(fixed | {found[0] for column in table.include if (found := table.stored(column))})
    )
