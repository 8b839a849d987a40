"""Whom a connection speaks for."""

from dataclasses import dataclass

from exchange.gateway.sessions import Session, Sessions
from exchange.gateway.tokens import sha256


@dataclass(frozen=True, slots=True)
class Principal:
    """An owner, until when, and by what. Two are the same only if they got in by the same `credential`.

    `credential` is what is ended when somebody signs out: for a session the hash of its token.
    """

    session: Session
    credential: bytes

    @property
    def expires_ns(self) -> int:
        return self.session.expires_ns


async def identify(sessions: Sessions, token: str) -> Principal:
    """Raises SessionRefused."""
    return Principal(await sessions.find(token), sha256(token))
