"""Address of the source server, and the user that connects to it."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Address:
    """
    Address of the source server, and the user that connects to it.

    `ca` is a PEM file of certificate authorities: with it, the server's certificate must be issued by one of
    them and name `host`. None: the connection is not verified.
    """

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    ca: str | None = None
