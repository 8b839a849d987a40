"""Entity tags, 304, and who may keep or read an answer."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.edge.harness import ORIGIN, problem

from exchange.edge.caching import REVALIDATE, has_tag, weak_tag
from exchange.edge.openapi_file import document_text

TAGGED = ["/v1/assets", "/v1/markets", "/v1/deployment", "/v1/markets/ETH-USDC/book"]
PUBLIC = ["/v1/assets", "/v1/markets", "/v1/markets/ETH-USDC/book"]


@pytest.mark.parametrize(
    "lines",
    [
        ['W/"a"'],
        ['"a"'],
        ['"b", W/"a"'],
        ['"b","a"'],
        ['"b" ,\t"a" , "c"'],
        [', ,"a",,'],
        ['"b"', '"a"'],
        ['"x,y", "a"'],
        ["*"],
        [" * "],
    ],
)
def test_a_tag_is_found_weakly_compared_in_any_list_of_the_grammar(lines):
    assert has_tag(lines, 'W/"a"')
    assert has_tag(lines, '"a"')


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [""],
        [","],
        ['"b"'],
        ['"A"'],
        ["a"],
        ['w/"a"'],
        ['W/ "a"'],
        ['"a'],
        ['a"'],
        ['"a" "b"'],
        ['"a"; q=1'],
        ['"a", b'],
        ['*, "a"'],
        ["**"],
        ['"b, "a""'],
        ['"a b"'],
        [" " * 50_000 + "x"],
    ],
)
def test_what_is_not_in_the_grammar_or_another_tag_is_not_found(lines):
    assert not has_tag(lines, 'W/"a"')


@given(st.lists(st.text(st.characters(max_codepoint=255), max_size=30), max_size=3))
def test_any_header_is_read_without_an_error(lines):
    assert has_tag(lines, 'W/"no such"') in {True, False}


def test_a_tag_is_the_same_for_the_same_content_only():
    assert weak_tag("a", 1, None) == weak_tag("a", 1, None)
    assert (
        len({weak_tag(*content) for content in ((), ("a",), ("a", None), ("a1",), ("a", 1), ("a", "1"))}) == 6
    )


@pytest.mark.parametrize("path", TAGGED)
async def test_an_answer_is_not_sent_again_while_it_is_the_same(exchange, path):
    first = await exchange.client.get(path)
    assert first.status_code == 200
    assert first.headers["cache-control"] == REVALIDATE
    again = await exchange.client.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    for name in ("etag", "cache-control"):
        assert again.headers[name] == first.headers[name]
    assert "vary" not in again.headers
    other = await exchange.client.get(path, headers={"If-None-Match": '"another"'})
    assert (other.status_code, other.json()) == (200, first.json())


async def test_a_change_is_sent_and_what_only_has_another_seq_is_not(exchange):
    trader = await exchange.trader(USDC=10**10)
    markets = await exchange.client.get("/v1/markets")
    book = await exchange.client.get("/v1/markets/ETH-USDC/book")
    seq = (await trader.order()).json()["seq"]
    assert seq > markets.json()["seq"]
    same = await exchange.client.get("/v1/markets", headers={"If-None-Match": markets.headers["etag"]})
    assert same.status_code == 304
    changed = await exchange.client.get(
        "/v1/markets/ETH-USDC/book",
        params={"min_seq": seq},
        headers={"If-None-Match": book.headers["etag"]},
    )
    assert (changed.status_code, changed.json()["bids"]) == (200, [["3000", "1"]])


async def test_books_that_were_asked_for_differently_have_different_tags(exchange):
    tags = set()
    for path in ("/v1/markets/ETH-USDC/book", "/v1/markets/WBTC-USDC/book"):
        for params in ({}, {"depth": 1}, {"group": "1"}, {"group": "2"}, {"depth": 1, "group": "1"}):
            tags.add((await exchange.client.get(path, params=params)).headers["etag"])
    assert len(tags) == 10
    one, same = [
        (await exchange.client.get("/v1/markets/ETH-USDC/book", params={"group": group})).headers["etag"]
        for group in ("1", "1.0")
    ]
    assert one == same


async def test_pages_of_other_sites_may_read_public_market_data_and_its_refusals(exchange):
    for path in PUBLIC:
        for headers in ({}, {"Origin": "https://charts.example"}, {"Origin": ORIGIN}):
            for wanted in (path, f"{path}?nonsense=1"):
                response = await exchange.client.get(wanted, headers=headers)
                assert response.headers["access-control-allow-origin"] == "*"
                assert response.headers["cross-origin-resource-policy"] == "cross-origin"
                assert "access-control-allow-credentials" not in response.headers
        unchanged = await exchange.client.get(path, headers={"If-None-Match": "*"})
        assert (unchanged.status_code, unchanged.headers["access-control-allow-origin"]) == (304, "*")
    response = await exchange.client.get("/v1/markets/NO-SUCH/book")
    problem(response, 404, "unknown_market")
    assert response.headers["access-control-allow-origin"] == "*"
    assert response.headers["cache-control"] == "no-store"


async def test_nothing_else_may_be_read_from_elsewhere_or_kept(exchange):
    trader = await exchange.trader(USDC=10**10)
    paths = json.loads(document_text())["paths"]
    closed = [
        path.format(
            order_id="1",
            client_order_id="mine",
            withdrawal_id="0x" + "1" * 64,
            address=trader.key.address,
            market="ETH-USDC",
        )
        for path, operations in paths.items()
        if "get" in operations
        and operations["get"]["tags"][0] not in {"markets", "market data", "deployment", "charts"}
    ]
    assert {"/v1/me", "/v1/balances", "/v1/orders", "/v1/ledger", "/v1/fills"} <= set(closed)
    for path in closed:
        response = await trader.request("GET", path, headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in response.headers, path
        assert response.headers["cross-origin-resource-policy"] == "same-origin", path
        assert response.headers["cache-control"] == "no-store", path
        assert "etag" not in response.headers, path


async def test_an_unsafe_method_on_public_market_data_may_not_be_sent_from_elsewhere(exchange):
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        response = await exchange.client.request(
            method, "/v1/markets", headers={"Origin": "https://evil.example"}
        )
        assert response.status_code in {403, 405}
        assert "access-control-allow-origin" not in response.headers
