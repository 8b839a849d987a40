"""What the main pages look like, in files to look at, and whether everybody can use them."""

import re
from collections.abc import Callable
from decimal import Decimal

import pytest
from playwright.sync_api import BrowserContext, Page, expect
from tests.browser import steps
from tests.browser.accessibility import violations
from tests.browser.conftest import BUILD, DESKTOP, PHONE

from exchange.testing_devnet.devnet import Devnet

PAGES = {
    "trade": "/trade/ETH-USDC",
    "portfolio": "/portfolio",
    "funds": "/funds",
    "wallet": "/wallet",
    "settings": "/settings",
    "proof": "/proof",
}
NARROWEST = 360
SCREENSHOTS = BUILD / "screenshots"

NewVisitor = Callable[..., BrowserContext]


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("signed_in", [False, True], ids=["stranger", "owner"])
def test_pages_have_no_accessibility_faults(new_visitor: NewVisitor, theme: str, signed_in: bool) -> None:
    page = new_visitor(bypass_csp=True, color_scheme=theme, reduced_motion="reduce").new_page()
    page.goto("/")
    if signed_in:
        steps.make_wallet_with_password(page)
    found = {}
    for name, path in PAGES.items():
        page.goto(path)
        steps.wait_until_shown(page)
        found[name] = violations(page)
    assert {name: faults for name, faults in found.items() if faults} == {}


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_pages_are_photographed(new_visitor: NewVisitor, devnet: Devnet, theme: str, size: str) -> None:
    how = PHONE if size == "phone" else {"viewport": DESKTOP}
    page = new_visitor(color_scheme=theme, reduced_motion="reduce", **how).new_page()
    page.goto(PAGES["trade"])
    expect(page.locator("canvas").first).to_be_visible()
    page.wait_for_timeout(1_500)  # candles are drawn
    page.screenshot(path=SCREENSHOTS / f"arrival-{size}-{theme}.png")
    steps.make_wallet_with_password(page)
    address = steps.address(page)
    for asset, amount in (("USDC", 8_000), ("ETH", 2)):
        devnet.chain.deposit(address, asset, amount)
    show_orders(page, devnet, size)
    for name, path in PAGES.items() if theme == "dark" else [("trade", PAGES["trade"])]:
        if name != "trade":
            page.goto(path)
        steps.wait_until_shown(page)
        page.screenshot(path=SCREENSHOTS / f"{name}-{size}-{theme}.png")


def show_orders(page: Page, devnet: Devnet, size: str) -> None:
    """Some orders of one's own, so that there is something to see. On a phone the form is behind a tab."""
    if size == "phone":
        page.get_by_role("tab", name="Order", exact=True).click()
    steps.enable_trading(page)
    steps.wait_for_funds(page, "8,000 USDC")
    steps.place(page, "Buy", price=None, size="0.25")
    expect(steps.toast(page, "Bought 0.25 ETH")).to_be_visible()
    best = Decimal(devnet.call("GET", "/v1/markets/ETH-USDC/book?depth=1")["bids"][0][0])
    for side, price in (("Buy", best - 4), ("Sell", best + 9)):
        steps.place(page, side, price=str(price), size="0.5")
        expect(steps.toast(page, re.compile("stands at")).first).to_be_visible()
    expect(page.get_by_role("button", name="Dismiss")).to_have_count(0, timeout=30_000)
    if size == "phone":
        page.get_by_role("tab", name="Chart", exact=True).click()


def test_nothing_is_wider_than_a_narrow_phone(new_visitor: NewVisitor) -> None:
    page = new_visitor(**{**PHONE, "viewport": {"width": NARROWEST, "height": 740}}).new_page()
    for name, path in PAGES.items():
        page.goto(path)
        steps.wait_until_shown(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= NARROWEST, name
        expect(page.get_by_role("main")).to_be_visible()


def test_a_phone_has_a_button_for_the_commands(phone: Page) -> None:
    phone.goto("/trade/ETH-USDC")
    phone.get_by_role("banner").get_by_role("button", name="Search commands").click()
    dialog = phone.get_by_role("dialog", name="Commands")
    dialog.get_by_role("combobox").fill("settings")
    dialog.get_by_role("option", name=re.compile("Go to settings")).click()
    expect(phone).to_have_url(re.compile("/settings$"))


def test_a_phone_shows_the_order_form_to_whom_a_command_leads_there(phone: Page) -> None:
    phone.goto("/trade/ETH-USDC")
    expect(steps.order_form(phone)).to_be_hidden()
    phone.get_by_role("banner").get_by_role("button", name="Search commands").click()
    phone.get_by_role("dialog", name="Commands").get_by_role("option", name=re.compile("^Sell")).click()
    form = steps.order_form(phone)
    expect(form.get_by_role("tab", name="Sell")).to_have_attribute("aria-selected", "true")
    expect(form.get_by_label("Size", exact=True)).to_be_focused()


def test_who_goes_to_another_market_by_the_keyboard_stands_in_it(page: Page) -> None:
    steps.open_market(page)
    page.keyboard.press("/")
    dialog = page.get_by_role("dialog", name="Markets")
    dialog.get_by_role("combobox").fill("wbtc usdc")
    expect(dialog.get_by_role("option")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/trade/WBTC-USDC$"))
    expect(page.get_by_role("main")).to_be_focused()


def test_a_message_can_be_dismissed_while_a_dialog_is_open(page: Page) -> None:
    page.add_init_script(steps.TOASTS_STAY)
    page.goto("/")
    steps.make_wallet_with_password(page)
    steps.lock(page)
    expect(steps.toast(page, "Wallet locked")).to_be_visible()
    dialog = steps.start(page)
    expect(dialog.get_by_text("Wallet locked")).to_be_visible()
    dialog.get_by_role("button", name="Dismiss").last.click()
    expect(dialog.get_by_text("Wallet locked")).to_have_count(0)
    expect(dialog.get_by_label("Password", exact=True)).to_be_visible()


def test_a_message_on_a_phone_hides_nothing_of_a_dialog(new_visitor: NewVisitor) -> None:
    """On one that is not high, so that the dialog has all the room that it may have."""
    how = {**PHONE, "viewport": {"width": NARROWEST, "height": 480}}
    phone = new_visitor(reduced_motion="reduce", **how).new_page()
    phone.add_init_script(steps.TOASTS_STAY)
    phone.goto("/")
    steps.make_wallet_with_password(phone)
    steps.lock(phone)
    dialog = steps.start(phone)
    expect(dialog.get_by_text("Wallet locked")).to_be_visible()
    phone.wait_for_timeout(500)  # it has come to its place
    message, title = (
        dialog.locator(".toast").last.bounding_box(),
        dialog.get_by_role("heading").first.bounding_box(),
    )
    assert message is not None
    assert title is not None
    assert message["y"] + message["height"] <= title["y"]


LAID_OVER = """(rows) => {
  const cut = (style) => style.overflowX === "hidden" && style.textOverflow === "ellipsis";
  return rows.filter((row) => {
    const copy = row.cloneNode(true);
    row.after(copy);
    const faults = [...copy.querySelectorAll("button > span")].filter((cell) => {
      cell.textContent = "123,456,789,012.12345678";
      return cell.scrollWidth <= cell.clientWidth || !cut(getComputedStyle(cell));
    });
    copy.remove();
    return faults.length > 0;
  }).length;
}"""


def test_long_numbers_in_the_book_do_not_lie_over_each_other(phone: Page) -> None:
    phone.goto("/trade/ETH-USDC")
    phone.get_by_role("tab", name="Book", exact=True).click()
    expect(steps.bids(phone).first).to_be_visible()
    assert phone.locator(".bids .book-row").evaluate_all(LAID_OVER) == 0
