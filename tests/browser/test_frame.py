"""What stands before the app has been loaded: the page's frame, exactly where the app then puts the same."""

import re

import pytest
from playwright.sync_api import Page, Route, expect

APP = re.compile(r"/assets/main-[^/]*\.js")
FRAME = "#root > .shell[aria-busy=true]"

PLACES = (
    ".header",
    ".header .logo",
    ".header-pages > a:nth-child(1)",
    ".header-pages > a:nth-child(5)",
    ".bottom-bar > a:nth-child(1)",
    ".bottom-bar > a:nth-child(5)",
    ".market-button",
    ".ticker-facts > div:nth-child(1)",
    ".ticker-facts > div:nth-child(2)",
    ".ticker-facts > div:nth-child(5)",
    ".area-ticker > .tabs > button:nth-child(1)",
    ".area-ticker > .tabs > button:nth-child(5)",
    ".area-chart",
    ".chart-head label:nth-of-type(2) > span",
    ".chart-head label:nth-of-type(9) > span",
    ".chart-stage",
    ".chart-foot > a",
    ".area-book",
    ".area-book h2",
    ".book-columns > span:nth-child(2)",
    ".book-middle",
    ".area-tape",
    ".area-tape h2",
    ".area-form",
    ".area-form .tabs.side > button:nth-child(2)",
    ".area-form .tabs.pill > button:nth-child(3)",
    ".area-positions",
    ".area-positions .tabs > button:nth-child(4)",
)
_BOXES = """
(places) => Object.fromEntries(places.map((place) => {
  const element = document.querySelector(place);
  if (element === null || element.getClientRects().length === 0) return [place, null];
  const box = element.getBoundingClientRect();
  return [place, [box.x, box.y, box.width, box.height].map(Math.round)];
}))
"""


class Gate:
    """Keeps the app from the page until it is opened."""

    def __init__(self, page: Page) -> None:
        self._held: list[Route] = []
        self._page = page
        page.route(APP, self._hold)

    def _hold(self, route: Route) -> None:
        self._held.append(route)

    def open(self) -> None:
        for route in self._held:
            route.continue_()
        self._page.unroute(APP)


def boxes(page: Page) -> dict[str, list[int] | None]:
    found: dict[str, list[int] | None] = page.evaluate(_BOXES, list(PLACES))
    return found


def _apart(one: list[int] | None, other: list[int] | None) -> bool:
    """By more than what a price of some digits pushes aside what stands after it."""
    if one is None or other is None:
        return one is not other
    return any(abs(here - there) > 2 for here, there in zip(one, other, strict=True))


@pytest.mark.parametrize("viewport", ["page", "phone"])
def test_the_frame_stands_where_the_app_puts_the_same(viewport: str, request: pytest.FixtureRequest) -> None:
    page: Page = request.getfixturevalue(viewport)
    gate = Gate(page)
    page.goto("/trade/ETH-USDC")
    expect(page.locator(FRAME)).to_be_visible()
    before = boxes(page)
    gate.open()
    expect(page.locator(FRAME)).to_have_count(0)
    expect(page.get_by_role("button", name="ETH-USDC")).to_be_visible()
    after = boxes(page)
    moved = {place: (before[place], after[place]) for place in PLACES if _apart(before[place], after[place])}
    assert moved == {}
    assert sum(box is not None for box in before.values()) > len(PLACES) / 3
    expect(page.locator(".last-price")).to_have_text(re.compile("[0-9]"))


def test_the_frame_is_of_the_market_and_of_the_page_that_are_asked_for(page: Page) -> None:
    Gate(page)
    page.goto("/trade/WBTC-USDC")
    expect(page.locator(FRAME)).to_be_visible()
    expect(page.locator(".market-button")).to_have_text("WBTC-USDC")
    expect(page.locator(".book-columns")).to_contain_text("Size (WBTC)")
    expect(page.locator(".header-pages [aria-current=page]")).to_have_text("Trade")
    page.goto("/funds")
    expect(page.locator(FRAME)).to_be_visible()
    expect(page.locator(".header-pages [aria-current=page]")).to_have_text("Funds")
    expect(page.locator(".grid-trade")).to_have_count(0)


def test_the_frame_has_the_theme_that_was_chosen(page: Page) -> None:
    """Here the system's is dark."""
    page.add_init_script("localStorage.setItem('settings', JSON.stringify({ theme: 'light' }))")
    Gate(page)
    page.goto("/")
    expect(page.locator(FRAME)).to_be_visible()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")


def test_who_cannot_have_the_app_is_told(page: Page, watch) -> None:
    watch.allow(r"failed GET /assets/main-", r"Failed to fetch dynamically imported module", r"ERR_FAILED")
    page.route(APP, lambda route: route.abort())
    page.goto("/")
    expect(page.get_by_role("alert")).to_contain_text("Load the page anew")
    page.unroute(APP)
    page.reload()
    expect(page.locator(".last-price")).to_have_text(re.compile("[0-9]"))
