"""Alerts against a real webhook on this machine."""

import asyncio
from collections.abc import AsyncIterator

import pytest_asyncio
from aiohttp import web
from tests.fixtures.anvil import free_port

from exchange.chain.alerts import Alerts


class Webhook:
    """A server that keeps what it is sent and answers with the next status, 200 when there is none left."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.received: list[dict[str, object]] = []
        self.silent = False
        self.port = free_port()
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?secret=77"

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/hook", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        self.received.append(await request.json())
        if self.silent:
            await asyncio.Event().wait()
        return web.Response(
            status=self.statuses.pop(0) if self.statuses else 200, headers={"Location": "/else"}
        )


@pytest_asyncio.fixture
async def webhook() -> AsyncIterator[Webhook]:
    server = Webhook()
    await server.start()
    yield server
    await server.stop()


async def deliver(alerts: Alerts) -> None:
    """Lets it run until nothing is under way."""
    task = asyncio.create_task(alerts.run())
    await asyncio.wait_for(alerts.delivered(), 20)
    task.cancel()


async def test_an_alert_reaches_the_webhook(webhook):
    alerts = Alerts(webhook.url)
    alerts.send("withdrawals_halted", "deposit 7 is gone")
    await deliver(alerts)
    [received] = webhook.received
    assert isinstance(received.pop("time_ms"), int)
    assert received == {
        "kind": "withdrawals_halted",
        "detail": "deposit 7 is gone",
        "text": "withdrawals_halted: deposit 7 is gone",
    }


async def test_without_a_webhook_an_alert_is_only_logged(capsys):
    alerts = Alerts(None)
    alerts.send("withdrawals_halted", "deposit 7 is gone")
    assert "deposit 7 is gone" in capsys.readouterr().out
    await alerts.delivered()


async def test_an_alert_is_sent_again_until_it_is_taken(webhook):
    webhook.statuses = [500, 429, 503]
    alerts = Alerts(webhook.url, first_pause_s=0.01)
    alerts.send("one", "")
    alerts.send("two", "")
    await deliver(alerts)
    assert [received["kind"] for received in webhook.received] == ["one", "one", "one", "one", "two"]


async def test_an_alert_that_nobody_takes_is_given_up_and_does_not_hold_up_the_next(webhook, capsys):
    webhook.statuses = [500] * 3
    alerts = Alerts(webhook.url, tries=3, first_pause_s=0.01)
    alerts.send("one", "")
    alerts.send("two", "")
    await deliver(alerts)
    assert [received["kind"] for received in webhook.received] == ["one", "one", "one", "two"]
    assert "alert_not_delivered" in capsys.readouterr().out


async def test_an_alert_that_is_refused_for_good_is_not_sent_again(webhook):
    webhook.statuses = [404, 307]
    alerts = Alerts(webhook.url, first_pause_s=0.01)
    alerts.send("one", "")
    await deliver(alerts)
    assert len(webhook.received) == 1


async def test_a_redirection_is_not_followed(webhook):
    webhook.statuses = [302]
    alerts = Alerts(webhook.url, tries=1)
    alerts.send("one", "")
    await deliver(alerts)
    assert len(webhook.received) == 1


async def test_a_webhook_that_says_nothing_is_not_waited_for_longer_than_agreed(webhook):
    webhook.silent = True
    alerts = Alerts(webhook.url, timeout_s=0.05, tries=2, first_pause_s=0.01)
    alerts.send("one", "")
    await deliver(alerts)
    assert len(webhook.received) == 2


async def test_a_webhook_that_is_not_there_does_no_harm_and_its_secret_is_not_logged(webhook, capsys):
    await webhook.stop()
    alerts = Alerts(webhook.url, tries=2, first_pause_s=0.01)
    alerts.send("one", "")
    await deliver(alerts)
    output = capsys.readouterr().out
    assert "alert_not_delivered" in output
    assert "secret" not in output


async def test_too_many_alerts_are_logged_and_not_kept(webhook, capsys):
    alerts = Alerts(webhook.url, max_waiting=2)
    for kind in ("one", "two", "three"):
        alerts.send(kind, "")
    assert "too many are waiting" in capsys.readouterr().out
    await deliver(alerts)
    assert [received["kind"] for received in webhook.received] == ["one", "two"]
