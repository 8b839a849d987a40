"""What lies between a page's stream and the exchange, in the test's hands."""

import json
from typing import Any

from playwright.sync_api import Page, WebSocketRoute


class Wire:
    """Made before the page is opened; passes everything on until told otherwise.

    `asked` has the requests of the page.
    """

    def __init__(self, page: Page) -> None:
        self.asked: list[dict[str, Any]] = []
        self.lost = 0
        self._to_lose: dict[str, int] = {}
        self._routes: list[WebSocketRoute] = []
        self._is_down = False
        self._is_silent = False
        self._resumes = True
        page.route_web_socket("**/v1/ws", self._open)

    def lose(self, channel: str, updates: int = 1) -> None:
        """The next updates of that channel never arrive."""
        self._to_lose[channel] = updates

    def cut(self) -> None:
        """The connection is gone, and no other comes to be until `mend`."""
        self._is_down = True
        for route in self._routes:
            route.close(code=1001, reason="cut by the test")
        self._routes.clear()

    def mend(self) -> None:
        self._is_down = False

    def forget(self) -> None:
        """From now on the exchange has not kept what was missed: nothing is resumed, all begins anew."""
        self._resumes = False

    def mute(self) -> None:
        """The connection stands, and nothing comes any more until `unmute`."""
        self._is_silent = True

    def unmute(self) -> None:
        self._is_silent = False

    def subscriptions(self, channel: str) -> int:
        """How often the page has subscribed to it."""
        return sum(
            request.get("op") == "subscribe" and request.get("channel") == channel for request in self.asked
        )

    def _open(self, route: WebSocketRoute) -> None:
        if self._is_down:
            route.close(code=1001, reason="cut by the test")
            return
        self._routes.append(route)
        exchange = route.connect_to_server()
        route.on_message(lambda frame: self._from_page(exchange, frame))
        exchange.on_message(lambda frame: self._from_exchange(route, frame))

    def _from_page(self, exchange: WebSocketRoute, frame: str | bytes) -> None:
        request = json.loads(frame)
        self.asked.append(request)
        if not self._resumes and request.pop("resume_seq", None) is not None:
            frame = json.dumps(request)
        exchange.send(frame)

    def _from_exchange(self, route: WebSocketRoute, frame: str | bytes) -> None:
        if self._is_silent:
            return
        message = json.loads(frame)
        channel = message.get("channel", "")
        if message.get("type") == "update" and self._to_lose.get(channel, 0) > 0:
            self._to_lose[channel] -= 1
            self.lost += 1
            return
        route.send(frame)
