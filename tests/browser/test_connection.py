"""The connection is lost, comes back, and loses messages; what is shown is true, or says that it is not."""

import re
from decimal import Decimal

from playwright.sync_api import Page, expect
from tests.browser import steps
from tests.browser.injected_wallet import InjectedWallet
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


def test_an_order_that_ended_unseen_stands_in_the_history(
    page: Page, injected: InjectedWallet, devnet: Devnet, watch: Watch
) -> None:
    watch.allow_disconnection()
    wire = Wire(page)
    devnet.chain.deposit(injected.address, "USDC", 5_000)
    steps.open_market(page)
    steps.connect_injected(page)
    steps.enable_trading(page, steps.EXTENSION)
    steps.wait_for_funds(page, "5,000 USDC")
    steps.place(page, "Buy", price="2000", size="0.3")
    expect(page.get_by_role("tab", name="Open orders 1")).to_be_visible()
    page.get_by_role("tab", name="History").click()
    expect(page.get_by_text("No orders yet")).to_be_visible()
    other = steps.other_tab(page, "/trade/ETH-USDC")
    cancel = other.get_by_role("button", name=re.compile("^Cancel buy order"))
    expect(cancel).to_be_visible()
    wire.forget()
    wire.cut()
    cancel.click()
    expect(cancel).to_have_count(0)
    wire.mend()
    steps.wait_until_live(page)
    row = page.get_by_role("table", name="Order history").get_by_role("row", name=re.compile("ETH-USDC"))
    expect(row).to_contain_text("Cancelled")
    expect(page.get_by_role("tab", name="Open orders", exact=True)).to_be_visible()


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


def test_a_chart_that_does_not_come_takes_nothing_else_away(page: Page, watch: Watch) -> None:
    watch.allow(r"^failed GET /assets/chart-canvas", r"^console: ", r"^error: .*dynamically imported module")
    page.route("**/assets/chart-canvas*.js", lambda route: route.abort())
    steps.open_market(page)
    expect(page.get_by_text("The chart stopped working")).to_be_visible()
    page.unroute("**/assets/chart-canvas*.js")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("canvas").first).to_be_visible()


def test_a_stranger_to_whom_the_wallet_does_not_come_keeps_the_market(page: Page, watch: Watch) -> None:
    watch.allow_disconnection()
    steps.open_market(page)
    page.route("**/assets/*.js", lambda route: route.abort())
    steps.order_form(page).get_by_role("button", name="Start trading").click()
    expect(steps.toast(page, "The wallet could not be loaded")).to_be_visible()
    expect(steps.bids(page).first).to_be_visible()
