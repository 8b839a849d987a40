"""Money comes in, orders are placed, changed and taken back, and money goes out again."""

import json
import re
import time
from collections.abc import Callable
from decimal import Decimal

import pytest
from playwright.sync_api import Locator, Page, Route, WebSocketRoute, expect
from tests.browser import steps
from tests.browser.injected_wallet import InjectedWallet
from tests.browser.passkeys import Passkeys
from tests.browser.watch import Watch

from exchange.testing_devnet.devnet import Devnet

FAR_BELOW = "2000"
"""A price that nobody sells at."""


@pytest.fixture
def trader(page: Page, injected: InjectedWallet, devnet: Devnet) -> Page:
    """Somebody with an extension, 5000 USDC at the exchange, and a key for this browser."""
    devnet.chain.deposit(injected.address, "USDC", 5_000)
    steps.open_market(page)
    steps.connect_injected(page)
    steps.enable_trading(page, steps.EXTENSION)
    steps.wait_for_funds(page, "5,000 USDC")
    return page


@pytest.fixture
def saver(page: Page, devnet: Devnet) -> Page:
    """Somebody with a wallet in the page, and 5000 USDC at the exchange."""
    steps.open_market(page)
    steps.make_wallet_with_password(page)
    devnet.chain.deposit(steps.address(page), "USDC", 5_000)
    steps.wait_for_funds(page, "5,000 USDC")
    return page


def open_orders(page: Page) -> Locator:
    """Rows of the table of open orders."""
    page.get_by_role("tab", name=re.compile("^Open orders")).click()
    return (
        page.get_by_role("table", name=re.compile("[Oo]pen orders"))
        .get_by_role("row")
        .filter(has=page.get_by_role("cell"))
    )


@pytest.mark.first_visit
def test_a_newcomer_trades_within_three_minutes(page: Page, tell: Callable[[str], None]) -> None:
    """Makes a wallet, gets test funds, trades and withdraws, by what is on the screen alone."""
    begun = time.monotonic()
    page.goto("/")
    steps.skip_tour(page)
    steps.make_wallet_with_password(page)
    steps.get_test_funds(page)
    steps.deposit(page, "USDC", "1000")
    steps.open_page(page, "Trade")
    steps.choose_market(page, "ETH-USDC")
    steps.enable_trading(page)
    steps.place(page, "Buy", price=None, size="0.1")
    expect(steps.toast(page, re.compile("Bought 0.1 ETH"))).to_be_visible()
    steps.withdraw(page, "USDC", "100")
    took_s = time.monotonic() - begun
    tell(f"a newcomer made a wallet, got test funds, traded and withdrew in {took_s:.0f} s")
    assert took_s < 180


def test_a_market_order_trades_with_a_bot(trader: Page) -> None:
    steps.place(trader, "Buy", price=None, size="0.05")
    expect(steps.toast(trader, "Bought 0.05 ETH")).to_be_visible()
    trader.get_by_role("tab", name=re.compile("^Fills")).click()
    expect(trader.get_by_role("tabpanel").get_by_text("0.05").first).to_be_visible()
    trader.get_by_role("tab", name=re.compile("^Balances")).click()
    expect(trader.get_by_role("row", name=re.compile("^ETH "))).to_contain_text("0.05")


def test_an_order_stands_is_amended_and_cancelled(trader: Page) -> None:
    steps.place(trader, "Buy", price=FAR_BELOW, size="0.5")
    row = open_orders(trader)
    expect(row).to_have_count(1)
    expect(row).to_contain_text("2,000")
    row.get_by_role("button", name=re.compile("^Amend")).click()
    dialog = trader.get_by_role("dialog", name="Amend")
    dialog.get_by_label("Price").fill("2100")
    dialog.get_by_label("Size").fill("0.4")
    dialog.get_by_role("button", name="Save").click()
    expect(row).to_contain_text("2,100")
    expect(row).to_contain_text("0.4")
    row.get_by_role("button", name=re.compile("Cancel")).click()
    expect(row).to_have_count(0)


def test_an_order_is_marked_in_the_book_and_changed_where_it_stands(trader: Page, devnet: Devnet) -> None:
    bids = devnet.call("GET", "/v1/markets/ETH-USDC/book?depth=5")["bids"]
    price = Decimal(bids[-1][0])
    steps.place(trader, "Buy", price=str(price), size="0.5")
    marked = trader.get_by_role("button", name=re.compile(r"^Bid .* yours 0\.\d+ Use this price"))
    expect(marked).to_have_accessible_name(re.compile(re.escape(f"{price:,}") + ".* yours 0.5 "))
    row = open_orders(trader)
    row.get_by_role("button", name="Change the size").click()
    field = row.get_by_label("New size")
    expect(field).to_be_focused()
    field.fill("0.40001")
    field.press("Enter")
    expect(field).to_have_attribute("aria-invalid", "true")
    field.fill("0.4")
    field.press("Enter")
    expect(row.get_by_role("button", name="Change the size")).to_be_focused()
    expect(marked).to_have_accessible_name(re.compile("yours 0.4 "))
    row.get_by_role("button", name="Change the price").click()
    row.get_by_label("New price").fill("1")
    row.get_by_label("New price").press("Escape")
    expect(row).to_contain_text(f"{price:,}")
    row.get_by_role("button", name=re.compile("^Cancel")).click()
    expect(marked).to_have_count(0)


def test_an_order_that_ends_while_it_is_amended_is_told(trader: Page) -> None:
    steps.place(trader, "Buy", price=FAR_BELOW, size="0.5")
    open_orders(trader).get_by_role("button", name=re.compile("^Amend")).click()
    dialog = trader.get_by_role("dialog", name="Amend")
    dialog.get_by_label("Price").fill("2100")
    save = dialog.get_by_role("button", name="Save")
    expect(save).to_be_enabled()
    other = steps.other_tab(trader, "/trade/ETH-USDC")
    open_orders(other).get_by_role("button", name=re.compile("^Cancel")).click()
    expect(dialog.get_by_text("not open any more")).to_be_visible()
    expect(save).to_be_disabled()


def test_an_order_that_is_filled_is_told_on_every_page(trader: Page, devnet: Devnet) -> None:
    steps.place(trader, "Buy", price=FAR_BELOW, size="0.05")
    expect(open_orders(trader)).to_have_count(1)
    steps.open_page(trader, "Settings")
    other = steps.other_tab(trader, "/trade/ETH-USDC")
    open_orders(other).get_by_role("button", name="Change the price").click()
    best = Decimal(devnet.call("GET", "/v1/markets/ETH-USDC/book?depth=1")["asks"][0][0])
    price = open_orders(other).get_by_label("New price")
    price.fill(str(best + 50))
    price.press("Enter")
    expect(steps.toast(trader, "Your order is filled")).to_be_visible()


def test_orders_are_cancelled_one_after_the_other_by_the_keyboard(trader: Page) -> None:
    for size in ("0.1", "0.2"):
        steps.place(trader, "Buy", price=FAR_BELOW, size=size)
        expect(steps.toast(trader, re.compile(f"Buy {size} ETH stands at"))).to_be_visible()
    rows = open_orders(trader)
    expect(trader.get_by_role("button", name="Dismiss")).to_have_count(0)
    trader.evaluate(steps.TOASTS_STAY)
    cancel = rows.get_by_role("button", name=re.compile("^Cancel"))
    cancel.first.press("Enter")
    expect(rows).to_have_count(1)
    expect(cancel).to_be_focused()
    cancel.press("Enter")
    expect(rows).to_have_count(0)
    tab = trader.get_by_role("tab", name="Open orders")
    expect(tab).to_be_focused()
    dismiss = trader.get_by_role("button", name="Dismiss")
    expect(dismiss).to_have_count(2)
    dismiss.first.press("Enter")
    expect(dismiss).to_have_count(1)
    expect(dismiss).to_be_focused()
    dismiss.press("Enter")
    expect(dismiss).to_have_count(0)
    expect(tab).to_be_focused()


def test_what_is_no_digit_leaves_the_caret_where_it_was(page: Page) -> None:
    steps.open_market(page)
    size = steps.order_form(page).get_by_label("Size", exact=True)
    size.fill("1250")
    size.press("Home")
    for key in ("ArrowRight", "x", "5", ",", "7"):
        size.press(key)
    expect(size).to_have_value("15.7250")


def test_an_order_is_moved_by_its_line_on_the_chart(trader: Page, devnet: Devnet) -> None:
    best = Decimal(devnet.call("GET", "/v1/markets/ETH-USDC/book?depth=1")["bids"][0][0])
    price = best - 10
    steps.place(trader, "Buy", price=str(price), size="0.5")
    row = open_orders(trader)
    expect(row).to_have_count(1)
    dialog = trader.get_by_role("dialog", name="Amend")
    drag_order_line(trader, by_px=30, until=dialog)
    field = dialog.get_by_label("Price")
    lower = Decimal(field.input_value())
    assert lower < price
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    expect(row).to_contain_text(f"{lower.normalize():,}")


def drag_order_line(page: Page, by_px: int, until: Locator) -> None:
    """Down by so much. The chart tells where the line is, and is asked again should it move meanwhile."""
    chart = page.get_by_role("application", name=re.compile("^Candles of"))
    box = chart.bounding_box()
    assert box is not None
    x = box["x"] + box["width"] / 2
    for y in [box["y"] + at for _ in range(20) for at in range(4, int(box["height"]) - 4, 4)]:
        page.mouse.move(x, y)
        if "grab" not in (chart.get_attribute("class") or ""):
            continue
        page.mouse.down()
        page.mouse.move(x, y + by_px, steps=4)
        page.mouse.up()
        page.wait_for_timeout(300)
        if until.is_visible():
            return
    raise AssertionError("no line can be taken")


def test_what_is_refused_of_a_market_order_is_told(trader: Page, watch: Watch) -> None:
    """About its price, for which it has no field."""
    watch.allow(r"^409 POST /v1/orders$")
    problem = {
        "type": "about:blank",
        "title": "",
        "status": 409,
        "code": "price_outside_band",
        "detail": "",
        "field": "price",
    }
    trader.route("**/v1/orders", lambda route: route.fulfill(status=409, json=problem))
    steps.place(trader, "Buy", price=None, size="0.05")
    expect(steps.order_form(trader).get_by_text("Too far from the market")).to_be_visible()


def test_all_orders_are_cancelled_at_once(trader: Page) -> None:
    for price in ("2000", "2001"):
        steps.place(trader, "Buy", price=price, size="0.1")
        expect(steps.toast(trader, re.compile(f"stands at {int(price):,}"))).to_be_visible()
    rows = open_orders(trader)
    expect(rows).to_have_count(2)
    trader.get_by_role("button", name="Cancel all").click()
    trader.get_by_role("dialog").get_by_role("button", name="Cancel all").click()
    expect(rows).to_have_count(0)


def test_an_order_that_costs_too_much_is_told_before_it_is_sent(trader: Page) -> None:
    steps.fill_order(trader, "Buy", price="2000", size="100")
    size = steps.order_form(trader).get_by_label("Size", exact=True)
    expect(size).to_have_attribute("aria-invalid", "true")
    steps.order_form(trader).get_by_role("button", name="Buy ETH").click()
    expect(trader.get_by_role("dialog")).to_have_count(0)


def test_what_the_exchange_refuses_is_told_in_words(trader: Page, watch: Watch) -> None:
    """A post-only order that would trade at once."""
    watch.allow(r"^\d{3} POST /v1/orders$")
    steps.fill_order(trader, "Buy", price="3600", size="0.01")
    form = steps.order_form(trader)
    form.get_by_label("How long").select_option(label="Post-only: never takes")
    steps.send_order(trader, "Buy")
    expect(form.get_by_text(re.compile("trade at once|would", re.IGNORECASE)).first).to_be_visible()


def test_confirmations_can_be_switched_off(trader: Page) -> None:
    steps.open_page(trader, "Settings")
    trader.get_by_role("switch", name=re.compile("Ask before an order")).click()
    steps.open_page(trader, "Trade")
    steps.place(trader, "Buy", price=FAR_BELOW, size="0.1", confirm=False)
    expect(open_orders(trader)).to_have_count(1)


def test_a_revoked_key_asks_for_a_new_one(trader: Page, watch: Watch) -> None:
    watch.allow(r"^40[13] POST /v1/orders$")
    steps.open_page(trader, "Settings")
    trader.get_by_role("button", name=re.compile("Revoke")).first.click()
    trader.get_by_role("dialog").get_by_role("button", name=re.compile("Revoke")).click()
    expect(trader.get_by_text(re.compile("[Rr]evoked")).first).to_be_visible()
    steps.open_page(trader, "Trade")
    expect(steps.order_form(trader).get_by_text("was revoked")).to_be_visible()
    steps.order_form(trader).get_by_role("button", name="Approve a new key").click()
    expect(steps.toast(trader, "This browser may trade")).to_be_visible()
    steps.place(trader, "Buy", price=FAR_BELOW, size="0.1")
    expect(open_orders(trader)).to_have_count(1)


def test_two_tabs_show_the_same_orders(trader: Page) -> None:
    other = steps.other_tab(trader, "/trade/ETH-USDC")
    steps.place(trader, "Buy", price=FAR_BELOW, size="0.3")
    expect(open_orders(other)).to_have_count(1)
    open_orders(other).get_by_role("button", name=re.compile("Cancel")).click()
    expect(open_orders(trader)).to_have_count(0)


def test_a_passkey_signs_everything(page: Page, passkeys: Passkeys) -> None:
    steps.open_market(page)
    steps.make_wallet_with_passkey(page)
    steps.get_test_funds(page)
    steps.deposit(page, "ETH", "2", password=None)
    steps.open_page(page, "Trade")
    steps.enable_trading(page, password=None)
    steps.place(page, "Sell", price=None, size="0.1")
    expect(steps.toast(page, "Sold 0.1 ETH")).to_be_visible()
    steps.withdraw(page, "ETH", "0.5", password=None)


def test_a_withdrawal_is_paid(saver: Page) -> None:
    steps.withdraw(saver, "USDC", "250")
    expect(saver.get_by_role("main").get_by_text(re.compile("Settled|Paid")).first).to_be_visible()


def test_a_withdrawal_that_is_not_signed_does_not_happen(saver: Page) -> None:
    dialog = steps.ask_withdrawal(saver, "USDC", "250")
    saver.get_by_role("dialog").last.get_by_role("button", name="Cancel").click()
    expect(dialog.get_by_text("You did not sign")).to_be_visible()


def test_more_than_there_is_can_not_be_withdrawn(trader: Page) -> None:
    steps.open_page(trader, "Funds")
    trader.get_by_role("button", name="Withdraw", exact=True).first.click()
    dialog = trader.get_by_role("dialog", name="Withdraw")
    dialog.get_by_label("Asset").select_option("USDC")
    amount = dialog.get_by_label("Amount", exact=True)
    amount.fill("5000.01")
    expect(amount).to_have_attribute("aria-invalid", "true")


def test_a_table_is_downloaded(trader: Page) -> None:
    steps.place(trader, "Buy", price=None, size="0.02")
    trader.get_by_role("tab", name=re.compile("^Fills")).click()
    with trader.expect_download() as download:
        trader.get_by_role("link", name=re.compile("CSV")).or_(
            trader.get_by_role("button", name=re.compile("CSV"))
        ).first.click()
    text = download.value.path().read_text()
    assert text.count("\n") >= 2
    assert "ETH-USDC" in text


def test_an_extension_deposits_and_trades(page: Page, injected: InjectedWallet, devnet: Devnet) -> None:
    devnet.chain.give(injected.address, "USDC", 3_000)
    steps.open_market(page)
    steps.connect_injected(page)
    dialog = steps.ask_deposit(page, "USDC", "2000")
    expect(dialog.get_by_text("Your deposit is credited")).to_be_visible(timeout=steps.CHAIN_MS)
    dialog.get_by_role("button", name="Start trading").click()
    steps.enable_trading(page, steps.EXTENSION)
    steps.place(page, "Buy", price=None, size="0.1")
    expect(steps.toast(page, "Bought 0.1 ETH")).to_be_visible()
    dialog = steps.ask_withdrawal(page, "USDC", "100")
    expect(dialog.get_by_text("Your withdrawal has been paid")).to_be_visible(timeout=steps.CHAIN_MS)
    assert devnet.chain.balance(injected.address, "USDC") > Decimal(1_000)


def test_an_extension_that_refuses_deposits_nothing(
    page: Page, injected: InjectedWallet, devnet: Devnet
) -> None:
    devnet.chain.give(injected.address, "USDC", 3_000)
    steps.open_market(page)
    steps.connect_injected(page)
    injected.refuses = True
    dialog = steps.ask_deposit(page, "USDC", "2000")
    expect(dialog.get_by_text(re.compile("did not (confirm|sign)"))).to_be_visible()


def test_a_phone_trades(phone: Page) -> None:
    phone.goto("/")
    steps.make_wallet_with_password(phone)
    steps.get_test_funds(phone)
    steps.deposit(phone, "USDC", "1000")
    steps.open_page(phone, "Trade")
    steps.choose_market(phone, "ETH-USDC")
    phone.get_by_role("tab", name="Order", exact=True).click()
    steps.enable_trading(phone)
    steps.place(phone, "Buy", price=None, size="0.05")
    expect(steps.toast(phone, "Bought 0.05 ETH")).to_be_visible()


def test_an_order_that_did_not_arrive_is_told_of_in_the_form_until_it_is_sent_again(
    trader: Page, watch: Watch
) -> None:
    watch.allow_disconnection()
    trader.route(
        "**/v1/orders", lambda route: route.abort() if route.request.method == "POST" else route.continue_()
    )
    steps.place(trader, "Buy", price=FAR_BELOW, size="0.1")
    form = steps.order_form(trader)
    expect(form.get_by_text("it is not known yet whether the order was placed")).to_be_visible()
    lost = form.get_by_text("The order did not arrive: nothing was placed.")
    expect(lost).to_be_visible(timeout=steps.CHAIN_MS)
    trader.unroute("**/v1/orders")
    trader.wait_for_timeout(7_000)  # longer than what goes well is shown
    expect(lost).to_be_visible()
    steps.send_order(trader, "Buy")
    expect(steps.toast(trader, re.compile("stands at 2,000"))).to_be_visible()
    expect(lost).to_have_count(0)


def test_sums_of_the_portfolio_say_which_assets_they_leave_out(trader: Page) -> None:
    """Here the exchange has no price for ETH any more, of which some was bought."""
    steps.place(trader, "Buy", price=None, size="0.1")
    expect(steps.toast(trader, "Bought 0.1 ETH")).to_be_visible()
    _take_price_away(trader, "ETH-USDC")
    trader.goto("/portfolio")
    for panel in ("Holdings", "Profit and loss"):
        region = trader.get_by_role("region", name=panel, exact=True)
        expect(region).to_contain_text("Not in this sum: ETH (no price in ETH-USDC yet).")


def _take_price_away(page: Page, market: str) -> None:
    """For a page that is opened from now on."""

    def answer(route: Route) -> None:
        got = route.fetch()
        items = [
            item | {"last_price": None} if item["symbol"] == market else item for item in got.json()["items"]
        ]
        route.fulfill(response=got, json=got.json() | {"items": items})

    def connect(socket: WebSocketRoute) -> None:
        exchange = socket.connect_to_server()

        def pass_on(frame: str | bytes) -> None:
            asked = json.loads(frame)
            if (asked.get("channel"), asked.get("market")) != ("ticker", market):
                exchange.send(frame)

        socket.on_message(pass_on)

    page.route("**/v1/markets", answer)
    page.route_web_socket("**/v1/ws", connect)
