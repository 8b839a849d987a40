import json
from pathlib import Path

import msgspec
import pytest
from tests.edge.harness import problem

from exchange.edge.openapi_file import OPENAPI_FILE, document_text
from exchange.edge.page_policies import DOCS_POLICY
from exchange.edge.problems import STATUS_AND_TITLE

DOCS_API = Path(__file__).parents[2] / "docs" / "api"

CONTRACT = {
    "/v1/time": {"get"},
    "/v1/health/live": {"get"},
    "/v1/health/ready": {"get"},
    "/v1/deployment": {"get"},
    "/v1/assets": {"get"},
    "/v1/markets": {"get"},
    "/v1/markets/{market}/book": {"get"},
    "/v1/markets/{market}/trades": {"get"},
    "/v1/markets/{market}/candles": {"get"},
    "/v1/markets/{market}/ticker": {"get"},
    "/v1/tickers": {"get"},
    "/v1/udf/config": {"get"},
    "/v1/udf/time": {"get"},
    "/v1/udf/symbols": {"get"},
    "/v1/udf/search": {"get"},
    "/v1/udf/history": {"get"},
    "/v1/auth/nonce": {"post"},
    "/v1/auth/login": {"post"},
    "/v1/auth/logout": {"post"},
    "/v1/agents": {"get", "post"},
    "/v1/agents/{key}": {"delete"},
    "/v1/whoami": {"get"},
    "/v1/me": {"get"},
    "/v1/balances": {"get"},
    "/v1/orders.csv": {"get"},
    "/v1/orders": {"get", "post", "delete"},
    "/v1/orders/batch": {"post"},
    "/v1/orders/{order_id}": {"get", "patch", "delete"},
    "/v1/orders/client/{client_order_id}": {"get", "delete"},
    "/v1/cancel-all-after": {"post"},
    "/v1/fills.csv": {"get"},
    "/v1/fills": {"get"},
    "/v1/transfers.csv": {"get"},
    "/v1/transfers": {"get", "post"},
    "/v1/deposits.csv": {"get"},
    "/v1/deposits": {"get"},
    "/v1/withdrawal-addresses": {"get", "post"},
    "/v1/withdrawal-addresses/{address}": {"delete"},
    "/v1/withdrawals.csv": {"get"},
    "/v1/withdrawals": {"get", "post"},
    "/v1/withdrawals/quote": {"get"},
    "/v1/withdrawals/{withdrawal_id}": {"get"},
    "/v1/ledger.csv": {"get"},
    "/v1/ledger": {"get"},
    "/v1/deposit-address": {"get"},
    "/v1/faucet": {"post"},
    "/v1/proof/solvency": {"get"},
    "/v1/proof/roots": {"get"},
    "/v1/proof/balance": {"get"},
}


def test_the_checked_in_document_is_the_one_the_code_makes():
    assert OPENAPI_FILE.read_text() == document_text(), "write it anew: python -m exchange.edge.openapi_file"


def test_the_document_has_every_route_of_the_contract_and_no_other():
    paths = json.loads(document_text())["paths"]
    assert {path: set(operations) for path, operations in paths.items()} == CONTRACT


def test_every_operation_is_described_and_names_its_problems():
    document = json.loads(document_text())
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"], (method, path)
            assert operation["description"], (method, path)
            assert "application/problem+json" in operation["responses"]["default"]["content"]


def test_every_reference_in_the_document_leads_somewhere():
    document = json.loads(document_text())
    schemas = document["components"]["schemas"]

    def references(node):
        if isinstance(node, dict):
            if "$ref" in node:
                yield node["$ref"]
            for inner in node.values():
                yield from references(inner)
        elif isinstance(node, list):
            for inner in node:
                yield from references(inner)

    for reference in references(document):
        assert reference.removeprefix("#/components/schemas/") in schemas


def test_every_member_of_a_body_or_an_item_has_an_example():
    for name, schema in json.loads(document_text())["components"]["schemas"].items():
        for member, described in schema.get("properties", {}).items():
            shown = {"examples", "example", "$ref", "items", "default", "enum", "const", "anyOf"}
            assert shown & set(described) or described.get("type") == "object", f"{name}.{member}"


def test_every_code_is_explained():
    text = (DOCS_API / "errors.md").read_text()
    for code, (status, _) in STATUS_AND_TITLE.items():
        assert f"| `{code}` | {status} |" in text, code


async def test_the_pages_come_from_here_under_a_strict_policy(exchange):
    page = await exchange.client.get("/docs")
    assert page.headers["content-security-policy"] == DOCS_POLICY
    assert "unsafe" not in DOCS_POLICY
    assert "require-trusted-types-for 'script'" in DOCS_POLICY
    assert "camera=()" in page.headers["permissions-policy"]
    assert "http" not in page.text.replace("https://localhost", "")
    assert "<script>" not in page.text
    for path in page.text.split('"'):
        if path.startswith("/docs/"):
            asset = await exchange.client.get(path)
            assert asset.status_code == 200, path
            assert asset.content
    problem(await exchange.client.get("/docs/assets/package.json"), 404, "not_found")
    problem(await exchange.client.get("/docs/assets/..%2Fpackage.json"), 404, "not_found")
    served = (await exchange.client.get("/openapi.json")).json()
    assert served == json.loads(document_text())


@pytest.mark.parametrize("path", ["/openapi.json", "/asyncapi.json"])
async def test_a_document_is_written_once_and_not_for_each_who_asks(exchange, monkeypatch, path):
    first = await exchange.client.get(path)
    assert first.headers["content-type"] == "application/json"

    def written_again(*_, **__):
        raise AssertionError("nobody pays for a document")

    for module, name in ((json, "dumps"), (msgspec.json, "encode")):
        monkeypatch.setattr(module, name, written_again)
    assert (await exchange.client.get(path)).content == first.content
