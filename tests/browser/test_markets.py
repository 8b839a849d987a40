"""Which market is shown: the one in the address, the one looked at last, the one that is traded most."""

import pytest
from playwright.sync_api import Locator, Page, Route, expect
from tests.browser import steps
from tests.browser.watch import Watch


@pytest.mark.parametrize("symbol", ["ETH-USDC", "WBTC-ETH"])
def test_the_market_that_was_looked_at_last_is_the_first_next_time(page: Page, symbol: str) -> None:
    page.goto(f"/trade/{symbol}")
    expect(market(page, symbol)).to_be_visible()
    steps.wait_until_live(page)
    steps.open_page(page, "Funds")
    expect(page.get_by_role("banner").get_by_role("button", name=symbol)).to_be_visible()
    steps.open_page(page, "Trade")
    expect(market(page, symbol)).to_be_visible()
    for address in ("/", "/trade"):
        page.goto(address)
        expect(market(page, symbol)).to_be_visible()


def test_who_was_never_here_sees_the_market_that_is_traded_most(page: Page) -> None:
    page.route("**/v1/tickers", lambda route: change(route, quote_volume={"WBTC-USDC": "9" * 20}))
    page.goto("/")
    expect(market(page, "WBTC-USDC")).to_be_visible()
    steps.wait_for_market(page)


def test_an_exchange_has_other_markets_than_one_expects(page: Page) -> None:
    """The one looked at last is not listed any more either, and there are no tickers."""
    page.add_init_script("localStorage.setItem('market', 'ETH-USDC')")
    page.route("**/v1/markets", lambda route: change(route, without="ETH-USDC"))
    page.route("**/v1/tickers", lambda route: route.fulfill(json={"seq": 1, "items": []}))
    page.goto("/")
    expect(market(page, "WBTC-USDC")).to_be_visible()
    steps.wait_for_market(page)
    steps.wait_until_live(page)


def test_a_market_that_there_is_not_is_said_to_be_none(page: Page, watch: Watch) -> None:
    watch.allow(r"^404 GET /v1/markets/")
    page.goto("/trade/NOPE-USDC")
    main = page.get_by_role("main")
    expect(main.get_by_text("There is no market called NOPE-USDC")).to_be_visible()
    main.get_by_role("link", name="WBTC-USDC").click()
    expect(market(page, "WBTC-USDC")).to_be_visible()
    page.goto("/trade/wbtc-usdc")
    expect(main.get_by_role("link")).to_have_text(["WBTC-USDC"])


def market(page: Page, symbol: str) -> Locator:
    """The name of the market that the page shows."""
    return page.get_by_role("main").get_by_role("button", name=symbol)


def change(route: Route, without: str = "", quote_volume: dict[str, str] | None = None) -> None:
    """The exchange's list, with less in it or other figures."""
    got = route.fetch()
    answer = got.json()
    items = [item for item in answer["items"] if item.get("symbol") != without]
    for item in items:
        if quote_volume and item.get("market") in quote_volume:
            item["quote_volume"] = quote_volume[item["market"]]
    route.fulfill(response=got, json=answer | {"items": items})


def test_a_page_that_shows_no_market_asks_for_no_figures(page: Page) -> None:
    """They may not be there: an exchange trades without them."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto("/funds")
    steps.wait_until_live(page)
    expect(page.get_by_role("banner").get_by_role("button", name="ETH-USDC")).to_be_visible()
    assert [url for url in asked if url.endswith("/v1/tickers")] == []
