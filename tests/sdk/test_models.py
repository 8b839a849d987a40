"""The SDK's values have what the API's document says of them, so that no answer can fail to be read."""

import json
import types
import typing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec
import pytest

from exchange_sdk import errors, models
from exchange_sdk.models import Model, utc

DOCUMENT = json.loads((Path(__file__).parents[2] / "docs" / "api" / "openapi.json").read_text())
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]
NAMES: dict[str, type[msgspec.Struct]] = {
    "AgentItem": models.Agent,
    "ArrivalItem": models.Arrival,
    "AssetItem": models.Asset,
    "BalanceItem": models.Balance,
    "BatchResult": models.BatchResult,
    "BookAnswer": models.Book,
    "CancelAllAfterAnswer": models.DeadMansSwitch,
    "CancelAllAnswer": models.CancelledAll,
    "CandleItem": models.Candle,
    "DepositAddressAnswer": models.DepositAddress,
    "DepositItem": models.Deposit,
    "DestinationState": models.DestinationState,
    "FeeTierItem": models.FeeTier,
    "FillItem": models.Fill,
    "LedgerItem": models.LedgerEntry,
    "LimitItem": models.Limit,
    "MarketItem": models.Market,
    "MeAnswer": models.Me,
    "NetworkCost": models.NetworkCost,
    "OrderItem": models.Order,
    "PlaceOrderAnswer": models.Placed,
    "ProblemDocument": errors.Problem,
    "SubAccountItem": models.SubAccount,
    "SweptAsset": models.SweptAsset,
    "TickerAnswer": models.Ticker,
    "TimeAnswer": models.ServerTime,
    "TradeItem": models.Trade,
    "TransferItem": models.Transfer,
    "TriggerItem": models.Trigger,
    "WhoamiAnswer": models.WhoAmI,
    "WithdrawalAddressItem": models.WithdrawalAddress,
    "WithdrawalItem": models.Withdrawal,
    "WithdrawalQuoteAnswer": models.WithdrawalQuote,
    "DeploymentAnswer": models.Deployment,
}
LEFT_OUT = {
    ("DeploymentAnswer", "withdrawal_typed_data"),
    ("DeploymentAnswer", "withdrawal_address_typed_data"),
    ("DeploymentAnswer", "agent_approval_typed_data"),
    ("ProblemDocument", "type"),
}
"""What of the API the SDK has no use for, or makes itself."""


def kinds(schema: dict[str, Any]) -> set[str]:
    """The JSON types that a value may have: `null` among them where it may."""
    if "$ref" in schema:
        return kinds(SCHEMAS[schema["$ref"].rpartition("/")[2]])
    options = schema.get("anyOf") or schema.get("oneOf")
    if options:
        return set().union(*(kinds(option) for option in options))
    if "const" in schema:
        return {"string"}
    return {schema["type"]}


def readable(hint: Any) -> set[str]:
    """The JSON types that msgspec reads into a type."""
    origin = get_origin(hint)
    if origin in {types.UnionType, typing.Union}:
        return set().union(*(readable(option) for option in get_args(hint)))
    if origin is Literal or hint in {str, Decimal}:
        return {"string"}
    if hint is float:
        return {"integer", "number"}
    if origin is tuple or (isinstance(hint, type) and issubclass(hint, tuple)):
        return {"array"}
    if origin is dict or (isinstance(hint, type) and issubclass(hint, msgspec.Struct)):
        return {"object"}
    return {int: {"integer"}, bool: {"boolean"}, type(None): {"null"}}[hint]


@pytest.mark.parametrize("name", NAMES)
def test_every_field_of_an_answer_can_be_read(name: str) -> None:
    schema, model = SCHEMAS[name], NAMES[name]
    hints = get_type_hints(model)
    optional = {field.name for field in msgspec.structs.fields(model) if not field.required}
    for field, described in schema["properties"].items():
        if (name, field) in LEFT_OUT:
            continue
        assert field in hints, f"{model.__name__} has no {field}"
        if not described:
            continue
        assert kinds(described) <= readable(hints[field]), f"{model.__name__}.{field}"
        assert field in schema["required"] or field in optional, f"{model.__name__}.{field} may be missing"
    for field in hints.keys() - schema["properties"].keys():
        assert field in optional, f"{model.__name__}.{field} is in no answer"


def test_every_value_of_the_sdk_is_held_against_the_document() -> None:
    public = {
        kind for kind in vars(models).values() if isinstance(kind, type) and issubclass(kind, msgspec.Struct)
    }
    assert public - {Model} <= set(NAMES.values())


def test_what_a_newer_exchange_adds_is_passed_over() -> None:
    time = msgspec.json.decode(b'{"seq": 1, "time_ms": 2, "new": {"deep": [1]}}', type=models.ServerTime)
    assert time == models.ServerTime(seq=1, time_ms=2)


def test_times_are_told_in_utc_to_the_millisecond() -> None:
    assert utc(1795946400999) == datetime(2026, 11, 29, 10, 0, 0, 999_000, tzinfo=UTC)
