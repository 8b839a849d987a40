"""The connection is lost, comes back, and loses messages; what is shown is true, or says that it is not."""

import re
from decimal import Decimal

from playwright.sync_api import Page, expect
from tests.browser import steps
from tests.browser.watch import Watch
from tests.browser.wire import Wire

from exchange.testing_devnet.devnet import Devnet


def best_bid(page: Page) -> tuple[Decimal, Decimal]:
    """Price and size, as they are shown."""
    text = steps.bids(page).first.text_content() or ""
    found = re.match(r"Bid\s+([0-9.,]+)\s*size\s+([0-9.,]+?)\s*total", text)
    assert found is not None, text
    price, size = (Decimal(number.replace(",", "")) for number in found.groups())
    return price, size


def expect_the_book_of(devnet: Devnet, page: Page) -> None:
    """The best bid in the page is, at some moment soon, the one that the exchange has."""
    for _ in range(100):
        price, size = map(Decimal, devnet.call("GET", "/v1/markets/ETH-USDC/book?depth=1")["bids"][0])
        if best_bid(page) == (price, size):
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"the page has {best_bid(page)}, the exchange {price, size}")


def test_a_lost_update_is_noticed_and_made_up_for(page: Page, devnet: Devnet) -> None:
    wire = Wire(page)
    steps.open_market(page)
    begun = wire.subscriptions("book")
    wire.lose("book", updates=3)
    for _ in range(200):
        if wire.subscriptions("book") > begun:
            break
        page.wait_for_timeout(100)
    assert wire.lost == 3
    assert wire.subscriptions("book") > begun
    steps.wait_until_live(page)
    expect_the_book_of(devnet, page)


def test_a_lost_connection_is_told_and_comes_back(page: Page, devnet: Devnet, watch: Watch) -> None:
    watch.allow_disconnection()
    wire = Wire(page)
    steps.open_market(page)
    wire.cut()
    expect(steps.connection(page)).not_to_have_text("Live")
    expect(page.get_by_text("Prices are as of")).to_be_visible()
    wire.mend()
    steps.wait_until_live(page)
    expect(page.get_by_text("Prices are as of")).to_have_count(0)
    expect_the_book_of(devnet, page)


def test_a_silent_connection_is_told_from_a_living_one(page: Page, watch: Watch) -> None:
    watch.allow_disconnection()
    wire = Wire(page)
    steps.open_market(page)
    wire.mute()
    expect(steps.connection(page)).to_have_text(re.compile("Stale|Connecting|Offline"), timeout=30_000)
    wire.unmute()
    steps.wait_until_live(page)


def test_a_device_that_was_offline_comes_back(page: Page, devnet: Devnet, watch: Watch) -> None:
    watch.allow_disconnection()
    steps.open_market(page)
    page.context.set_offline(True)
    expect(steps.connection(page)).not_to_have_text("Live", timeout=30_000)
    page.context.set_offline(False)
    steps.wait_until_live(page)
    expect_the_book_of(devnet, page)


def test_an_exchange_that_was_restarted_is_found_again(page: Page, devnet: Devnet, watch: Watch) -> None:
    watch.allow_disconnection()
    watch.allow(r"^503 ")
    steps.open_market(page)
    steps.make_wallet_with_password(page)
    devnet.restart()
    steps.wait_until_live(page)
    expect(steps.account(page)).to_be_visible()
    steps.wait_for_market(page)
    expect_the_book_of(devnet, page)
