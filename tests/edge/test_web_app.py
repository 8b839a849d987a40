"""The web app as browsers are given it: pages, files, their headers, and nothing else."""

import gzip
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from tests.edge.harness import Exchange, problem, served

from exchange.edge import web_app
from exchange.edge.app import create_app
from exchange.edge.page_policies import app_policy
from exchange.edge.rate_limiting import cost
from exchange.edge.web_app import NOT_BUILT, PAGES, takes

INDEX = "<!doctype html><title>Exchange</title>" + "<p>words</p>" * 200
SCRIPT = "export const words = 'many words';\n" * 200
PACKED_SCRIPT = b"not brotli, but nobody here unpacks it"
PAGE_PATHS = [*sorted(PAGES), "/trade/ETH-USDC"]
RPC_URL = "http://localhost:8545/some/path"


def build(folder: Path) -> Path:
    """As `vite build` leaves it, with some things that it would not."""
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text(INDEX)
    (folder / "icon.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (folder / "assets" / "index-B1x2.js").write_text(SCRIPT)
    (folder / "assets" / "index-B1x2.js.br").write_bytes(PACKED_SCRIPT)
    (folder / "assets" / "index-C3y4.css").write_text("a{}")
    (folder / "assets" / "index-C3y4.css.br").write_bytes(b"longer than the style itself")
    (folder / "index.html.br").write_bytes(b"of no index that is known")
    (folder / "assets" / "face.woff2").write_bytes(os.urandom(900))
    (folder / "assets" / "notes.md").write_text("not for everybody")
    (folder / ".ready").write_text("")
    (folder.parent / "secret.txt").write_text("secret")
    (folder / "assets" / "link.txt").symlink_to(folder.parent / "secret.txt")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return build(tmp_path / "dist")


@pytest.fixture
async def client(
    exchange: Exchange, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[httpx.AsyncClient]:
    """Of a real server that serves the build, and looks for another one at each request."""
    monkeypatch.setattr(web_app.WebApp.__init__, "__kwdefaults__", {"look_s": 0.0})
    config = replace(exchange.edge.config, web_app=folder, wallet_rpc_url=RPC_URL)
    async with (
        served(create_app(replace(exchange.edge, config=config))) as url,
        httpx.AsyncClient(base_url=url, headers={"Accept-Encoding": "identity"}) as client,
    ):
        yield client


@pytest.mark.parametrize("path", PAGE_PATHS)
async def test_a_page_is_the_index_under_a_strict_policy(client, path):
    page = await client.get(path)
    assert (page.status_code, page.text) == (200, INDEX)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["cache-control"] == "no-cache"
    policy = page.headers["content-security-policy"]
    for directive in (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
        "connect-src 'self' ws://localhost:8000 http://localhost:8545",
    ):
        assert directive in policy.split("; ")
    assert "unsafe" not in policy
    assert page.headers["cross-origin-opener-policy"] == "same-origin"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert "camera=()" in page.headers["permissions-policy"]
    head = await client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(INDEX))


async def test_who_opens_this_machine_by_its_number_is_sent_to_the_name_that_can_sign_in(client):
    for host in ("127.0.0.1:8000", "[::1]:8000"):
        sent = await client.get("/trade/ETH-USDC", headers={"Host": host})
        assert (sent.status_code, sent.headers["location"]) == (307, "http://localhost:8000/trade/ETH-USDC")
    for host in ("localhost:8000", "127.0.0.1:8001", "exchange.example"):
        assert (await client.get("/", headers={"Host": host})).status_code == 200


def test_a_policy_without_a_node_names_none_and_a_site_over_tls_has_a_websocket_over_tls():
    policy = app_policy({"https://exchange.example"}, None)
    assert "connect-src 'self' wss://exchange.example;" in policy


async def test_a_page_that_is_known_is_not_sent_again_and_keeps_its_policy(client):
    page = await client.get("/")
    again = await client.get("/funds", headers={"If-None-Match": page.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    for name in ("content-security-policy", "permissions-policy", "cache-control", "etag", "vary"):
        assert again.headers[name] == page.headers[name], "a browser takes over what a 304 says"


async def test_files_with_a_hash_in_their_names_are_kept_for_ever(client):
    script = await client.get("/assets/index-B1x2.js")
    assert (script.status_code, script.text) == (200, SCRIPT)
    assert script.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"
    style = await client.get("/assets/index-C3y4.css")
    assert style.headers["content-type"] == "text/css; charset=utf-8"
    icon = await client.get("/icon.svg")
    assert (icon.headers["content-type"], icon.headers["cache-control"]) == ("image/svg+xml", "no-cache")


async def test_files_are_sent_compressed_to_who_takes_that(client):
    for path, text in (("/", INDEX), ("/assets/index-B1x2.js", SCRIPT)):
        async with client.stream("GET", path, headers={"Accept-Encoding": "deflate, gzip;q=0.8"}) as answer:
            raw = b"".join([part async for part in answer.aiter_raw()])
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.headers["vary"] == "Accept-Encoding"
        assert gzip.decompress(raw).decode() == text
        assert len(raw) < len(text) / 4
        plain = await client.get(path)
        assert ("content-encoding" in plain.headers, plain.headers["vary"]) == (False, "Accept-Encoding")
        assert plain.headers["etag"] == answer.headers["etag"]
    face = await client.get("/assets/face.woff2", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in face.headers
    assert len(face.content) == 900


async def test_assets_are_sent_as_the_build_has_packed_them_to_who_takes_brotli(client):
    path = "/assets/index-B1x2.js"
    for accepted in ("br", "gzip, deflate, br, zstd", "gzip;q=1.0, br;q=0.1"):
        async with client.stream("GET", path, headers={"Accept-Encoding": accepted}) as answer:
            raw = b"".join([part async for part in answer.aiter_raw()])
        assert (answer.headers["content-encoding"], raw) == ("br", PACKED_SCRIPT), accepted
        assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
        assert answer.headers["content-length"] == str(len(PACKED_SCRIPT))
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["vary"] == "Accept-Encoding"
    refused = await client.get(path, headers={"Accept-Encoding": "br;q=0, gzip"})
    assert (refused.headers["content-encoding"], refused.text) == ("gzip", SCRIPT)
    style = await client.get("/assets/index-C3y4.css", headers={"Accept-Encoding": "br"})
    assert ("content-encoding" in style.headers, style.text) == (False, "a{}"), "it is smaller as it is"
    index = await client.get("/", headers={"Accept-Encoding": "br, gzip"})
    assert (index.headers["content-encoding"], index.text) == ("gzip", INDEX), "its name says nothing of it"


def test_which_codings_clients_take():
    for lines in (["gzip"], ["br", "gzip"], ["deflate, GZIP;q=0.5"], ["gzip; q=1.0"], ["gzip;q=0.001"]):
        assert takes("gzip", lines), lines
    for lines in ([], [""], ["br"], ["identity"], ["gzip;q=0"], ["gzip; q=0.000"], ["x-gzipped"]):
        assert not takes("gzip", lines), lines
    assert takes("br", ["gzip, deflate, br"])
    assert not takes("br", ["gzip", "brotli"])


@pytest.mark.parametrize(
    "path",
    [
        "/nowhere",
        "/index.html",
        "/trade/",
        "/trade/a/b",
        "/portfolio/",
        "/assets/",
        "/assets/index-XXXX.js",
        "/assets/notes.md",
        "/assets/index-B1x2.js.br",
        "/assets/link.txt",
        "/assets/../index.html",
        "/assets/%2e%2e/%2e%2e/secret.txt",
        "/assets/..%2f..%2fsecret.txt",
        "/..%2fsecret.txt",
        "/%2e%2e/secret.txt",
        "/.ready",
        "/secret.txt",
        "/assets//etc/passwd",
        "/assets/index-B1x2.js%00",
    ],
)
async def test_nothing_else_is_served(client, path):
    request = client.build_request("GET", "/")
    request.url = request.url.copy_with(raw_path=path.encode())  # httpx would put the dots right
    problem(await client.send(request), 404, "not_found")


async def test_a_browser_is_told_by_the_app_that_there_is_no_such_page(client):
    browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    for path in ("/nowhere", "/trade/a/b", "/portfolio/", "/v2/orders"):
        page = await client.get(path, headers=browser)
        assert (page.status_code, page.text) == (404, INDEX), path
        assert page.headers["cache-control"] == "no-store"
        assert "trusted-types 'none'" in page.headers["content-security-policy"]
    for path in ("/v1/nowhere", "/docs/nowhere", "/assets/nowhere.js", "/nowhere.svg", "/nowhere.html"):
        problem(await client.get(path, headers=browser), 404, "not_found")
    problem(await client.post("/nowhere", headers=browser), 404, "not_found")
    problem(await client.get("/v1/orders/1/", headers=browser), 404, "not_found")


async def test_pages_and_files_are_read_only(client):
    for path in ("/", "/trade/ETH-USDC", "/assets/index-B1x2.js", "/icon.svg"):
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            problem(await client.request(method, path), 405, "method_not_allowed")


async def test_another_build_is_served_without_a_restart(client, folder):
    before = await client.get("/")
    (folder / "assets" / "index-D5z6.js").write_text("export {};")
    (folder / "index.html").write_text(INDEX + "<!-- another -->")
    assert (await client.get("/assets/index-D5z6.js")).text == "export {};"
    after = await client.get("/")
    assert after.text.endswith("<!-- another -->")
    assert after.headers["etag"] != before.headers["etag"]


async def test_while_a_build_is_being_written_the_last_whole_one_is_served(client, folder):
    (folder / "index.html").unlink()
    assert (await client.get("/")).text == INDEX


async def test_without_a_build_the_root_says_how_to_make_it_and_the_documentation_is_there(exchange):
    root = await exchange.client.get("/")
    assert (root.status_code, root.text) == (200, NOT_BUILT)
    assert root.headers["content-type"] == "text/plain; charset=utf-8"
    assert "make web/dist/.ready" in root.text
    for path in ("/funds", "/trade/ETH-USDC", "/assets/index.js", "/icon.svg"):
        problem(await exchange.client.get(path), 404, "not_found")
    assert (await exchange.client.get("/docs")).status_code == 200


async def test_a_build_made_after_the_start_is_found(exchange, tmp_path, monkeypatch):
    monkeypatch.setattr(web_app.WebApp.__init__, "__kwdefaults__", {"look_s": 0.0})
    config = replace(exchange.edge.config, web_app=tmp_path / "dist")
    async with (
        served(create_app(replace(exchange.edge, config=config))) as url,
        httpx.AsyncClient(base_url=url) as client,
    ):
        assert (await client.get("/")).text == NOT_BUILT
        build(tmp_path / "dist")
        assert (await client.get("/")).text == INDEX


async def test_files_take_nothing_from_the_budgets_of_the_api_but_have_a_bound(client, monkeypatch):
    for path in (*PAGE_PATHS, "/assets/index-B1x2.js", "/icon.svg"):
        assert cost("GET", path) is None
        assert "ratelimit-limit" not in (await client.get(path)).headers
    assert cost("GET", "/v1/markets") is not None
    assert cost("POST", "/") is not None


async def test_who_asks_for_files_without_end_is_told_to_wait(exchange, folder, monkeypatch):
    monkeypatch.setattr(web_app, "BURST", 5)
    monkeypatch.setattr(web_app, "PER_S", 1)
    config = replace(exchange.edge.config, web_app=folder)
    async with (
        served(create_app(replace(exchange.edge, config=config))) as url,
        httpx.AsyncClient(base_url=url) as client,
    ):
        for _ in range(5):
            assert (await client.get("/assets/index-B1x2.js")).status_code == 200
        refused = await client.get("/assets/index-B1x2.js")
        problem(refused, 429, "rate_limited")
        assert refused.headers["retry-after"] == "1"
        assert (await client.get("/v1/markets")).status_code == 200
