"""Why the server closes a WebSocket: the codes of docs/api/websocket.md, and a reason for each."""

from enum import IntEnum


class CloseCode(IntEnum):
    """1xxx are the standard's (RFC 6455, 7.4.1), 4xxx ours."""

    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    INVALID_TEXT = 1007
    MESSAGE_TOO_BIG = 1009
    INTERNAL_ERROR = 1011
    SLOW_READER = 4000
    PING_TIMEOUT = 4001
    FLOOD = 4002

    @property
    def reason(self) -> str:
        """A stable word; also what the close is counted under."""
        return self.name.lower()
