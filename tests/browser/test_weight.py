"""How much has to be loaded before a stranger sees the market."""

import gzip
from collections.abc import Callable

from playwright.sync_api import Page, Response
from tests.browser import steps

MOST_BYTES = 200_000


def answers_to(page: Page) -> list[Response]:
    """Grows as the page loads."""
    answers: list[Response] = []

    def keep(answer: Response) -> None:
        answers.append(answer)

    page.on("response", keep)
    return answers


def test_the_first_page_needs_few_scripts(page: Page, tell: Callable[[str], None]) -> None:
    """All scripts that it loads by itself, those of the chart included, compressed as gzip does."""
    answers = answers_to(page)
    steps.open_market(page)
    page.wait_for_load_state("networkidle")
    sizes = {
        answer.url.rsplit("/", 1)[1]: len(gzip.compress(answer.body(), 6))
        for answer in answers
        if answer.request.resource_type == "script"
    }
    tell(f"scripts of the first page: {sum(sizes.values()) / 1000:.0f} kB (gzip) in {len(sizes)} files")
    assert sum(sizes.values()) <= MOST_BYTES, sizes


def test_scripts_are_sent_compressed_and_may_be_kept(page: Page) -> None:
    answers = answers_to(page)
    steps.open_market(page)
    assets = [answer for answer in answers if "/assets/" in answer.url]
    assert len(assets) > 2
    for answer in assets:
        assert "immutable" in answer.headers.get("cache-control", ""), answer.url
        if len(answer.body()) > 2_000:
            assert answer.headers.get("content-encoding") == "br", answer.url
