"""What the main pages look like, in files to look at, and whether everybody can use them."""

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, expect
from tests.browser import steps
from tests.browser.accessibility import violations
from tests.browser.conftest import BUILD, DESKTOP, PHONE

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
def test_pages_are_photographed(new_visitor: NewVisitor, theme: str, size: str) -> None:
    how = PHONE if size == "phone" else {"viewport": DESKTOP}
    page = new_visitor(color_scheme=theme, reduced_motion="reduce", **how).new_page()
    page.goto("/")
    page.goto(PAGES["trade"])
    steps.wait_until_shown(page)
    page.screenshot(path=SCREENSHOTS / f"arrival-{size}-{theme}.png")
    steps.make_wallet_with_password(page)
    steps.get_test_funds(page)
    for name, path in PAGES.items() if theme == "dark" else [("trade", PAGES["trade"])]:
        page.goto(path)
        steps.wait_until_shown(page)
        page.screenshot(path=SCREENSHOTS / f"{name}-{size}-{theme}.png", full_page=size == "phone")


def test_nothing_is_wider_than_a_narrow_phone(new_visitor: NewVisitor) -> None:
    page = new_visitor(**{**PHONE, "viewport": {"width": NARROWEST, "height": 740}}).new_page()
    for name, path in PAGES.items():
        page.goto(path)
        steps.wait_until_shown(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= NARROWEST, name
        expect(page.get_by_role("main")).to_be_visible()
