"""The words and forms that the public JSON is made of, with their patterns for the OpenAPI document."""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

AmountText = Annotated[
    str, Field(pattern=r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?$", description="Exact decimal.", examples=["0.015"])
]
"""A decimal string; only changes in the ledger have a sign."""

IdText = Annotated[str, Field(pattern=r"^[0-9]+$", examples=["1042"])]
Symbol = Annotated[str, Field(examples=["ETH-USDC"])]
AssetSymbol = Annotated[str, Field(examples=["USDC"])]
AddressText = Annotated[
    str,
    Field(
        pattern=r"^0x[0-9a-fA-F]{40}$",
        description="Wallet address with EIP-55 checksum.",
        examples=["0x70997970C51812dc3A010C7d01b50e0d17dc79C8"],
    ),
]
Hash = Annotated[str, Field(pattern=r"^0x[0-9a-f]{64}$", examples=["0x" + "5f" * 32])]
TimeMs = Annotated[int, Field(description="Milliseconds since 1970, UTC.", examples=[1763841600000])]

NS_PER_MS = 1_000_000


class StrictBody(BaseModel):
    """A request body: types as written, no unknown fields."""

    model_config = ConfigDict(extra="forbid", strict=True)


class ProblemDocument(BaseModel):
    """Every error, as application/problem+json (RFC 9457). `code` is stable; texts may change."""

    type: str = Field(examples=["urn:exchange:problem:price_off_tick"])
    title: str = Field(examples=["The price is not a whole number of ticks."])
    status: int = Field(examples=[422])
    code: str = Field(examples=["price_off_tick"])
    detail: str = Field(examples=["must be a whole multiple of the tick of ETH-USDC, 0.01"])
    field: str | None = Field(default=None, description="The field at fault.", examples=["price"])
    value: str | None = Field(default=None, description="What was sent in it.", examples=["3000.005"])
    nearest: list[str] | None = Field(
        default=None,
        description="Nearest values that would be taken.",
        examples=[["3000", "3000.01"]],
    )
    retry_at_ms: TimeMs | None = Field(
        default=None, description="From when the same request may succeed, where that is known."
    )
    signed_text: str | None = Field(
        default=None,
        description="Of a signed request: the text that its signature was checked against.",
        examples=["exchange-request-1\n0x5f5f...\nlocalhost:8000\n0x70997970...\nGET\n/v1/balances\n..."],
    )
    signed_digest: Hash | None = Field(
        default=None, description="Of signed typed data: the digest that the signature was checked against."
    )
    recovered_key: str | None = Field(
        default=None,
        description="The address whose key made the signature, over what it was checked against.",
        examples=["0x70997970c51812dc3a010c7d01b50e0d17dc79c8"],
    )
    request_id: str = Field(examples=["1f0c6a55a3b2e4d7"])


PROBLEM_RESPONSES: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "A problem; see the list of codes.",
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}},
    }
}
"""`responses` of every route."""


def rfc3339(time_ms: int) -> str:
    """A time in milliseconds as people read it, in whole seconds (UTC), rounded up."""
    return datetime.fromtimestamp(-(-time_ms // 1_000), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def time_ms(time_ns: int) -> int:
    """Whole milliseconds of a time in nanoseconds."""
    return time_ns // NS_PER_MS
