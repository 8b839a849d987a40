"""What a person does, step by step: only what can be seen, found by what it is and what it is called."""

import re

from playwright.sync_api import Locator, Page, expect
from tests.browser.injected_wallet import NAME

EXTENSION = ""
"""In place of a password: the wallet is an extension, which asks by itself."""
PASSWORD = "ample turnip railway 7"
CHAIN_MS = 60_000
"""What takes blocks of the chain, of which one comes every second."""
TOASTS_STAY = """(() => {
    const later = window.setTimeout;
    window.setTimeout = (what, ms, ...rest) => later(what, ms === 5000 ? 120000 : ms, ...rest);
})()"""
"""However slow the machine is: what went well is shown for 5 s otherwise."""


# ---- arriving


def open_market(page: Page, market: str = "ETH-USDC") -> None:
    page.goto(f"/trade/{market}")
    wait_for_market(page)


def choose_market(page: Page, market: str) -> None:
    """From the list of all. The one that is open is that which was traded most, or looked at last."""
    page.get_by_role("main").get_by_role("button", name="Change market").click()
    dialog = page.get_by_role("dialog", name="Markets")
    dialog.get_by_label("Search markets").fill(market)
    dialog.get_by_role("option", name=market).click()
    expect(page).to_have_url(re.compile(f"/trade/{market}$"))


def skip_tour(page: Page) -> None:
    """The tour of a first visit, which comes after a moment, and to the trade page only."""
    skip = page.get_by_role("button", name="Skip tour")
    expect(skip).to_be_visible()
    skip.click()


def wait_for_market(page: Page) -> None:
    """Both sides of the book have orders, and there have been trades."""
    expect(asks(page).first).to_be_visible(timeout=CHAIN_MS)
    expect(bids(page).first).to_be_visible(timeout=CHAIN_MS)
    expect(trades(page).first).to_be_visible(timeout=CHAIN_MS)


def wait_until_live(page: Page) -> None:
    expect(connection(page)).to_have_text("Live", timeout=CHAIN_MS)


def wait_until_shown(page: Page) -> None:
    """The page stands, and nothing of it is still being loaded."""
    expect(page.get_by_role("main").get_by_role("heading").first).to_be_attached()
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    page.wait_for_timeout(500)


def connection(page: Page) -> Locator:
    return page.get_by_role("banner").get_by_role("status")


def asks(page: Page) -> Locator:
    return page.get_by_role("button", name=re.compile(r"^Ask .* (Take|Use) this price"))


def bids(page: Page) -> Locator:
    return page.get_by_role("button", name=re.compile(r"^Bid .* (Take|Use) this price"))


def trades(page: Page) -> Locator:
    return page.get_by_role("region", name="Trades").get_by_role("row").filter(has=page.get_by_role("time"))


# ---- wallets


def start(page: Page) -> Locator:
    """Opens the dialog in which everything begins."""
    page.get_by_role("banner").get_by_role("button", name="Start trading").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    return dialog


def make_wallet_with_password(page: Page, password: str = PASSWORD) -> None:
    """A new wallet, and signed in with it."""
    ask_for_wallet(page, password)
    wait_until_signed_in(page)


def ask_for_wallet(page: Page, password: str) -> Locator:
    """Chooses a password for a new wallet and asks for it; the field of the password."""
    dialog = start(page)
    dialog.get_by_role("button", name="Make a wallet").click()
    other_way = dialog.get_by_role("button", name="Use a password instead")
    field = dialog.get_by_label("Password", exact=True)
    expect(other_way.or_(field).first).to_be_visible()
    if other_way.is_visible():
        other_way.click()
    field.fill(password)
    dialog.get_by_role("button", name="Make wallet").click()
    return field


def make_wallet_with_passkey(page: Page) -> None:
    """The same without a password."""
    dialog = start(page)
    dialog.get_by_role("button", name="Make a wallet").click()
    dialog.get_by_role("button", name="Use a passkey").click()
    wait_until_signed_in(page)


def connect_injected(page: Page) -> None:
    dialog = start(page)
    dialog.get_by_role("button", name="Use a browser wallet").click()
    dialog.get_by_role("button", name=NAME).click()
    wait_until_signed_in(page)


def unlock(page: Page, password: str = PASSWORD) -> None:
    """A wallet that this browser has kept."""
    dialog = start(page)
    dialog.get_by_label("Password", exact=True).fill(password)
    dialog.get_by_role("button", name="Unlock", exact=True).click()
    wait_until_signed_in(page)


def account(page: Page) -> Locator:
    return page.get_by_role("button", name=re.compile("^Account "))


def address(page: Page) -> str:
    """Of who is signed in: for what a test prepares, not for what it shows."""
    return str(page.evaluate("fetch('/v1/me').then((answer) => answer.json()).then((me) => me.address)"))


def wait_until_signed_in(page: Page) -> None:
    expect(account(page)).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)


def other_tab(page: Page, path: str) -> Page:
    """Another tab of the same browser, signed in as the first is."""
    other = page.context.new_page()
    other.goto(path)
    expect(account(other)).to_be_visible()
    return other


def lock(page: Page) -> None:
    account(page).click()
    page.get_by_role("button", name="Lock wallet").click()
    expect(page.get_by_role("banner").get_by_role("button", name="Start trading")).to_be_visible()


def sign_out(page: Page) -> None:
    account(page).click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("banner").get_by_role("button", name="Start trading")).to_be_visible()


def trading_keys(page: Page) -> Locator:
    """Those that the settings list."""
    open_page(page, "Settings")
    return page.get_by_role("region", name="Trading keys").get_by_role("listitem")


def sign(page: Page, password: str | None = PASSWORD, verb: str = "Sign") -> None:
    """Agrees to what the wallet in the page shows; with the passkey when there is no password."""
    if password == EXTENSION:
        return
    dialog = page.get_by_role("dialog").last
    if password is None:
        dialog.get_by_role("button", name=f"{verb} with passkey").click()
    else:
        dialog.get_by_label("Password", exact=True).fill(password)
        dialog.get_by_role("button", name=verb, exact=True).click()


def back_up(page: Page, password: str = PASSWORD) -> None:
    """Writes the words down and proves it."""
    page.get_by_role("button", name="Back up", exact=True).first.click()
    dialog = page.get_by_role("dialog", name="Back up your wallet")
    dialog.get_by_label("Password", exact=True).fill(password)
    dialog.get_by_role("button", name="Show the words").click()
    words = phrase_words(dialog)
    dialog.get_by_role("button", name="I have written them down").click()
    for field in dialog.get_by_role("textbox").all():
        label = field.evaluate("(input) => input.labels[0].innerText")
        field.fill(words[int(label.removeprefix("Word ")) - 1])
    dialog.get_by_role("button", name="Confirm", exact=True).click()
    expect(dialog).to_have_count(0)


def phrase_words(dialog: Locator) -> list[str]:
    """The words that it shows."""
    items = dialog.get_by_role("list", name="Recovery phrase").get_by_role("listitem")
    expect(items).to_have_count(12)
    return [re.sub(r"[^a-z]", "", text) for text in items.all_inner_texts()]


# ---- money


def open_page(page: Page, name: str) -> None:
    """By the navigation, as people do."""
    page.get_by_role("navigation", name="Pages").get_by_role("link", name=name).locator(
        "visible=true"
    ).click()


def get_test_funds(page: Page) -> None:
    """Coins out of nothing, into the wallet. Then the dialog to deposit them is open."""
    open_page(page, "Funds")
    page.get_by_role("button", name="Get test funds").first.click()
    expect(toast(page, "Test funds are in your wallet")).to_be_visible(timeout=CHAIN_MS)
    expect(page.get_by_role("dialog", name="Deposit")).to_be_visible()


def deposit(page: Page, asset: str, amount: str, password: str | None = PASSWORD) -> None:
    """From the wallet in the page into the exchange, until it is credited."""
    dialog = ask_deposit(page, asset, amount)
    sign_deposit(page, asset, password)
    expect(dialog.get_by_text("Your deposit is credited")).to_be_visible(timeout=CHAIN_MS)
    dialog.get_by_role("button", name="Close", exact=True).first.click()


def ask_deposit(page: Page, asset: str, amount: str) -> Locator:
    """Fills in a deposit and sends it off; the wallet asks next."""
    dialog = page.get_by_role("dialog", name="Deposit")
    if not dialog.is_visible():  # it opens by itself when there are test funds
        open_page(page, "Funds")
        page.get_by_role("button", name="Deposit", exact=True).first.click()
    dialog.get_by_label("Asset").select_option(asset)
    dialog.get_by_label("Amount", exact=True).fill(amount)
    dialog.get_by_role("button", name=f"Deposit {amount} {asset}").click()
    return dialog


def sign_deposit(page: Page, asset: str, password: str | None = PASSWORD) -> None:
    """For a token a leave to take it is signed, and then, as for a coin, a transaction."""
    if asset != "ETH":
        expect(_button_of_wallet(page, "Sign", password)).to_be_visible(timeout=CHAIN_MS)
        sign(page, password)
    expect(_button_of_wallet(page, "Sign and send", password)).to_be_enabled(timeout=CHAIN_MS)
    sign(page, password, "Sign and send")


def _button_of_wallet(page: Page, verb: str, password: str | None) -> Locator:
    name = verb if password is not None else f"{verb} with passkey"
    return page.get_by_role("dialog").last.get_by_role("button", name=name, exact=True)


def withdraw(page: Page, asset: str, amount: str, password: str | None = PASSWORD) -> None:
    """Out of the exchange into the wallet, until the chain has it for good."""
    dialog = ask_withdrawal(page, asset, amount)
    expect(_button_of_wallet(page, "Sign", password)).to_be_visible()
    sign(page, password)
    expect(dialog.get_by_text("Your withdrawal has been paid")).to_be_visible(timeout=CHAIN_MS)
    dialog.get_by_role("button", name="Done").click()


def ask_withdrawal(page: Page, asset: str, amount: str) -> Locator:
    """Fills in a withdrawal and sends it off; the wallet asks next."""
    dialog = fill_withdrawal(page, asset, amount)
    dialog.get_by_role("button", name=f"Withdraw {amount} {asset}").click()
    return dialog


def fill_withdrawal(page: Page, asset: str, amount: str, to: str | None = None) -> Locator:
    """A withdrawal to the own wallet, or `to` another address, up to what it would come to."""
    open_page(page, "Funds")
    page.get_by_role("button", name="Withdraw", exact=True).first.click()
    dialog = page.get_by_role("dialog", name="Withdraw")
    dialog.get_by_label("Asset").select_option(asset)
    dialog.get_by_label("Amount", exact=True).fill(amount)
    if to is not None:
        dialog.get_by_label("To", exact=True).select_option(label="Another address")
        dialog.get_by_label("Address", exact=True).fill(to)
    receives = dialog.get_by_role("definition").filter(has_text=re.compile(rf"^{amount} {asset}$"))
    expect(receives.first).to_be_visible()
    return dialog


# ---- trading


def enable_trading(page: Page, password: str | None = PASSWORD) -> None:
    """Approves the key with which this browser trades."""
    order_form(page).get_by_role("button", name="Enable trading").click()
    sign(page, password)
    expect(toast(page, "This browser may trade")).to_be_visible()


def wait_for_funds(page: Page, text: str) -> None:
    """Until the order form, to buy, says that so much ("5,000 USDC") is available."""
    expect(order_form(page).get_by_text(f"{text} available")).to_be_visible(timeout=CHAIN_MS)


def order_form(page: Page) -> Locator:
    return page.get_by_role("form", name="Place an order")


def fill_order(page: Page, side: str, *, price: str | None, size: str) -> None:
    """A limit order, or without a price one at the market."""
    form = order_form(page)
    form.get_by_role("tab", name=side, exact=True).click()
    form.get_by_role("tab", name="Limit" if price is not None else "Market", exact=True).click()
    if price is not None:
        form.get_by_label("Price", exact=True).fill(price)
    form.get_by_label("Size", exact=True).fill(size)


def send_order(page: Page, side: str, base: str = "ETH", *, confirm: bool = True) -> None:
    order_form(page).get_by_role("button", name=f"{side} {base}", exact=True).click()
    if confirm:
        page.get_by_role("dialog").get_by_role("button", name=side, exact=True).click()


def place(page: Page, side: str, *, price: str | None, size: str, confirm: bool = True) -> None:
    fill_order(page, side, price=price, size=size)
    send_order(page, side, confirm=confirm)


def toast(page: Page, text: str | re.Pattern[str]) -> Locator:
    """A message that came up in a corner."""
    return page.get_by_label("Notifications").get_by_text(text)
