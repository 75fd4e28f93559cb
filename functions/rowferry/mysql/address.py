"""Where the source is, and who asks."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Address:
    """
    Where the source is, and who asks.

    `ca` is a PEM file: the server's certificate must come from it and name `host`.
    """

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    ca: str | None = None
