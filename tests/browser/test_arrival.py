"""Somebody arrives, without a wallet and without signing in, and sees a living market."""

import re

import pytest
from playwright.sync_api import Page, expect
from tests.browser import steps
from tests.browser.watch import Watch

COUNT_SHIFTS = """
window.shift = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shift += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""


@pytest.mark.first_visit
def test_a_stranger_sees_a_living_market(page: Page) -> None:
    page.goto("/")
    steps.skip_tour(page)
    steps.wait_for_market(page)
    steps.wait_until_live(page)
    expect(page.get_by_role("heading", name=re.compile(r"^Chart of \w+-USDC$"))).to_be_attached()
    expect(page.locator("canvas").first).to_be_visible()
    expect(page.get_by_text("24h high")).to_be_visible()
    newest = steps.trades(page).first.inner_text()
    expect(steps.trades(page).first).not_to_have_text(newest, timeout=steps.CHAIN_MS)


def test_the_book_moves_by_itself(page: Page) -> None:
    steps.open_market(page)
    before = steps.bids(page).all_inner_texts()
    expect(steps.bids(page).first).not_to_have_text(before[0], timeout=steps.CHAIN_MS)


def test_the_book_is_grouped_by_a_step_of_price(page: Page) -> None:
    steps.open_market(page)
    page.get_by_label("Group prices by").select_option(label="10")
    expect(steps.bids(page).first).to_have_accessible_name(re.compile(r"^Bid [0-9,]+0(\.0+)? size "))


def test_another_market_is_chosen(page: Page) -> None:
    steps.open_market(page)
    page.get_by_role("button", name=re.compile("ETH-USDC")).locator("visible=true").first.click()
    page.get_by_role("option", name=re.compile("WBTC-USDC")).or_(
        page.get_by_role("link", name=re.compile("WBTC-USDC"))
    ).locator("visible=true").first.click()
    expect(page).to_have_url(re.compile("/trade/WBTC-USDC$"))
    steps.wait_for_market(page)
    expect(page.get_by_role("heading", name="Chart of WBTC-USDC")).to_be_attached()


@pytest.mark.parametrize("interval", ["5m", "1h"])
def test_candles_have_intervals(page: Page, interval: str) -> None:
    steps.open_market(page)
    choices = page.get_by_role("group", name="Interval")
    choices.get_by_role("radio", name=interval, exact=True).check()
    expect(choices.get_by_role("radio", name=interval, exact=True)).to_be_checked()
    page.reload()
    expect(choices.get_by_role("radio", name=interval, exact=True)).to_be_checked()


def test_a_level_of_the_book_fills_in_the_price(page: Page) -> None:
    steps.open_market(page)
    level = steps.bids(page).nth(2)
    level.click()
    price = steps.order_form(page).get_by_label("Price", exact=True)
    expect(price).to_have_value(re.compile(r"^\d+(\.\d+)?$"))


@pytest.mark.first_visit
def test_the_tour_shows_what_is_where_and_comes_once(page: Page) -> None:
    page.goto("/")
    for _ in range(3):
        page.get_by_role("dialog").get_by_role("button", name="Next").click()
    page.get_by_role("dialog").get_by_role("button", name="Done").click()
    page.reload()
    steps.wait_for_market(page)
    page.wait_for_timeout(2_500)
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_the_keyboard_reaches_everything(page: Page) -> None:
    steps.open_market(page)
    page.keyboard.press("Control+k")
    page.get_by_role("combobox", name="Search commands").fill("funds")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/funds$"))
    page.keyboard.press("g")
    page.keyboard.press("t")
    expect(page).to_have_url(re.compile("/trade"))
    page.keyboard.press("s")
    sell = steps.order_form(page).get_by_role("tab", name="Sell")
    expect(sell).to_have_attribute("aria-selected", "true")


def test_the_theme_is_kept(page: Page) -> None:
    steps.open_market(page)
    background = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(background)
    page.get_by_role("button", name="Use the light theme").click()
    expect(page.get_by_role("button", name="Use the dark theme")).to_be_visible()
    light = page.evaluate(background)
    assert light != dark
    page.reload()
    steps.wait_for_market(page)
    assert page.evaluate(background) == light


def test_nothing_jumps_while_data_arrives(page: Page) -> None:
    page.add_init_script(COUNT_SHIFTS)
    page.goto("/")
    steps.wait_for_market(page)
    page.wait_for_timeout(3_000)
    assert page.evaluate("window.shift") < 0.05


def test_the_documentation_keeps_to_the_policy_too(page: Page) -> None:
    page.goto("/docs")
    expect(page.get_by_text("/v1/orders").first).to_be_visible()


def test_an_address_that_leads_nowhere_says_so(page: Page, watch: Watch) -> None:
    watch.allow(r"^404 GET /nowhere$")
    page.goto("/")
    page.evaluate("history.pushState(null, '', '/nowhere'); dispatchEvent(new PopStateEvent('popstate'))")
    expect(page.get_by_text("There is no page here")).to_be_visible()


def test_a_phone_shows_one_thing_at_a_time(phone: Page) -> None:
    phone.goto("/")
    expect(phone.locator("canvas").first).to_be_visible(timeout=steps.CHAIN_MS)
    phone.get_by_role("tab", name="Book").click()
    expect(steps.asks(phone).first).to_be_visible(timeout=steps.CHAIN_MS)
    expect(phone.locator("canvas").first).to_be_hidden()
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
