"""What a devnet has for the web app: its files, a node that a wallet may use from a page, and test funds."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from exchange.testing_devnet.devnet import Devnet
from exchange.testing_devnet.errors import ApiRefused
from exchange.testing_devnet.json_http import call, request
from exchange.testing_devnet.process import DevnetProcess

pytestmark = pytest.mark.timeout(180)

INDEX = "<!doctype html><title>Exchange</title>"


@pytest.fixture
def devnet(tmp_path: Path) -> Iterator[Devnet]:
    """Of which the web app is a page without anything."""
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "index.html").write_text(INDEX)
    process = DevnetProcess(
        tmp_path / "devnet", tmp_path / "log", arguments=("--web-app", str(tmp_path / "dist"))
    )
    process.start()
    try:
        yield Devnet(process)
    finally:
        process.stop()


def test_a_new_wallet_gets_test_funds_and_a_page_may_speak_with_the_chain(devnet: Devnet) -> None:
    status, page, headers = request("GET", devnet.url + "/funds")
    assert (status, page) == (200, INDEX)
    assert f"\u2502 {devnet.url} " in devnet.process.log()
    deployment = call("GET", devnet.url + "/v1/deployment")
    assert deployment["faucet"] is True
    assert deployment["rpc_url"] == f"http://localhost:{devnet.process.rpc_port}"
    assert f" {deployment['rpc_url']};" in headers["content-security-policy"]

    asked = {
        "Origin": devnet.url,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    status, _, headers = request("OPTIONS", deployment["rpc_url"], headers=asked)
    assert status == 200
    assert headers["access-control-allow-origin"] in {"*", devnet.url}
    assert headers["access-control-allow-headers"].lower() in {"*", "content-type"}
    chain_id = {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []}
    _, _, headers = request("POST", deployment["rpc_url"], chain_id, {"Origin": devnet.url})
    assert headers["access-control-allow-origin"] in {"*", devnet.url}

    wallet = devnet.wallet(on_chain={})
    with pytest.raises(ApiRefused, match="unauthenticated"):
        call("POST", devnet.url + "/v1/faucet")
    given = wallet.call("POST", "/v1/faucet", {})
    assert [(one["asset"], one["amount"]) for one in given["transactions"]] == [
        ("ETH", "10"),
        ("USDC", "25000"),
        ("WBTC", "0.5"),
    ]
    wallet.deposit("ETH", 1)
    assert wallet.balances()["ETH"] == Decimal(1)
    status, text, _ = request(
        "POST", devnet.url + "/v1/faucet", {}, {"Authorization": f"Bearer {wallet.token}"}
    )
    assert (status, '"rate_limited"' in text) == (429, True)
