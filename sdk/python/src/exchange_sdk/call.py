"""Something to ask of the exchange, or to have done."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self
from urllib.parse import urlencode

Who = Literal["nobody", "trader", "owner"]
"""Whose credential it needs: none; the key's, or else the wallet's session; the wallet's session."""

Params = Mapping[str, str | int | None]


@dataclass(frozen=True, slots=True)
class Call:
    """One call: one request, or several of the same where it may be repeated."""

    method: str
    path: str
    params: Params = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    who: Who = "nobody"
    repeatable: bool = True
    """Whether doing it twice is the same as doing it once."""
    token: str | None = field(default=None, repr=False)
    """Of a session: to be sent as it is."""
    client_order_id: str | None = None
    sub_account: int = 0
    """Of the order with that id."""
    expires_at_ms: int | None = None
    """The exchange takes it no later than this, so neither is it sent again later."""
    life_ms: int | None = None
    """Instead: for so long, from when it is sent for the first time. Then it has the body of `body_until`."""
    body_until: Callable[[int], Mapping[str, Any]] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not self.path.startswith("/"):  # it would become a part of the exchange's name
            raise ValueError(f"a path begins with /: {self.path!r}")

    @property
    def changes(self) -> bool:
        """Whether something is done, and not only read."""
        return self.method != "GET"

    @property
    def cancels(self) -> bool:
        """Whether it ends something, or sees to it that something ends."""
        return self.method == "DELETE" or self.path == "/v1/cancel-all-after"

    @property
    def target(self) -> str:
        """Path and query."""
        given = {name: value for name, value in self.params.items() if value is not None}
        return f"{self.path}?{urlencode(given)}" if given else self.path

    def dated(self, now_ms: int) -> Self:
        """As it is sent at this time, and then again and again."""
        if self.life_ms is None or self.body_until is None:
            return self
        expires_at_ms = now_ms + self.life_ms
        body = self.body_until(expires_at_ms)
        return replace(self, body=body, expires_at_ms=expires_at_ms, life_ms=None, body_until=None)

    def __str__(self) -> str:
        return f"{self.method} {self.path}"
