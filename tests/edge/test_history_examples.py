"""The examples of docs/api/history.md, run in their order."""

import json
import re
from pathlib import Path

from tests.edge.harness import Exchange
from tests.edge.test_examples import assert_contains, make_the_market

HISTORY = Path(__file__).parents[2] / "docs" / "api" / "history.md"
_EXAMPLE = re.compile(r"^    GET (\S+)\n    -> ([0-9]{3}) (.+)$", re.MULTILINE)


async def test_the_examples_of_the_page_are_answered_as_it_says(exchange: Exchange) -> None:
    trader = await make_the_market(exchange)
    for changes in ({"size": "1"}, {"size": "0.5"}, {"price": "2900"}):
        placed = (await trader.order(**changes)).json()
    await trader.request("DELETE", f"/v1/orders/{placed['order']['order_id']}")
    examples = _EXAMPLE.findall(HISTORY.read_text())
    assert len(examples) >= 12
    await exchange.projection.reached(exchange.view.seq, 20)
    for path, status, expected in examples:
        response = await trader.request("GET", path)
        assert response.status_code == int(status), f"{path}: {response.text}"
        if path.partition("?")[0].endswith(".csv"):
            assert response.text.split("\r\n")[0] == expected
        else:
            assert_contains(response.json(), json.loads(expected))


def test_every_history_is_on_the_page() -> None:
    text = HISTORY.read_text()
    for name in ("orders", "fills", "ledger", "deposits", "withdrawals", "transfers"):
        assert f"| `/v1/{name}` |" in text
        assert f"GET /v1/{name}.csv" in text
