"""The answers of the UDF protocol, as its documentation and the OpenAPI document have them."""

from typing import Any, Final, Literal

from pydantic import BaseModel, Field

EXCHANGE: Final = "Exchange"
"""What charts show as the name of the exchange."""
KIND: Final = "crypto"
"""The type of every symbol."""

Resolution = Literal["1S", "1", "5", "15", "30", "60", "240", "1D", "1W", "S", "D", "W"]
"""Minutes where there is no letter. Front ends leave the 1 before a letter out as they like."""

INTERVAL_OF: Final[dict[str, str]] = {
    "1S": "1s",
    "1": "1m",
    "5": "5m",
    "15": "15m",
    "30": "30m",
    "60": "1h",
    "240": "4h",
    "1D": "1d",
    "1W": "1w",
    "S": "1s",
    "D": "1d",
    "W": "1w",
}
"""Our interval of a resolution."""

_RESOLUTIONS = ["1S", "1", "5", "15", "30", "60", "240", "1D", "1W"]
_MINUTES = ["1", "5", "15", "30", "60", "240"]


class UdfConfig(BaseModel):
    """What the data feed can do."""

    supported_resolutions: list[str] = _RESOLUTIONS
    supports_search: bool = True
    supports_group_request: bool = False
    supports_marks: bool = False
    supports_timescale_marks: bool = False
    supports_time: bool = True
    exchanges: list[dict[str, str]] = Field(default=[], description="None: charts offer no choice of them.")
    symbols_types: list[dict[str, str]] = Field(default=[], description="The same.")


class UdfSymbol(BaseModel):
    """One market. It trades at all times, and its bars begin at whole intervals of UTC."""

    name: str = Field(examples=["ETH-USDC"])
    ticker: str = Field(examples=["ETH-USDC"])
    full_name: str = Field(examples=["Exchange:ETH-USDC"])
    description: str = Field(examples=["ETH / USDC"])
    type: str = KIND
    session: str = "24x7"
    timezone: str = "Etc/UTC"
    exchange: str = EXCHANGE
    listed_exchange: str = EXCHANGE
    format: str = "price"
    minmov: int = Field(description="The tick is minmov / pricescale.", examples=[1])
    pricescale: int = Field(examples=[100])
    minmove2: int = 0
    fractional: bool = False
    has_seconds: bool = True
    seconds_multipliers: list[str] = ["1"]
    has_intraday: bool = True
    intraday_multipliers: list[str] = _MINUTES
    has_daily: bool = True
    daily_multipliers: list[str] = ["1"]
    has_weekly_and_monthly: bool = True
    weekly_multipliers: list[str] = ["1"]
    monthly_multipliers: list[str] = Field(default=[], description="Charts make months of days.")
    has_empty_bars: bool = False
    visible_plots_set: str = "ohlcv"
    supported_resolutions: list[str] = _RESOLUTIONS
    volume_precision: int = Field(description="Decimals of a volume.", examples=[4])
    data_status: str = "streaming"


class UdfFound(BaseModel):
    """One market that was found."""

    symbol: str = Field(examples=["ETH-USDC"])
    full_name: str = Field(examples=["Exchange:ETH-USDC"])
    description: str = Field(examples=["ETH / USDC"])
    exchange: str = EXCHANGE
    ticker: str = Field(examples=["ETH-USDC"])
    type: str = KIND


class UdfBars(BaseModel):
    """Bars, oldest first, in columns: time in seconds, open, high, low, close, volume in the base asset."""

    s: Literal["ok"]
    t: list[int]
    o: list[float]
    h: list[float]
    l: list[float]  # noqa: E741 - the protocol's name
    c: list[float]
    v: list[float]


class UdfNoData(BaseModel):
    """There is no bar. `nextTime` is when the one before the range begins, where there is one."""

    s: Literal["no_data"]
    nextTime: int | None = Field(default=None, examples=[1795946340])  # noqa: N815 - the protocol's name


class UdfProblem(BaseModel):
    """Every error of these routes. `code` is ours, and stable."""

    s: Literal["error"] = "error"
    errmsg: str = Field(examples=["no such market"])
    code: str = Field(examples=["unknown_market"])


UDF_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    "default": {
        "description": "A problem, in the protocol's form; errors of ours are as everywhere else.",
        "model": UdfProblem,
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}},
    }
}
"""`responses` of the routes."""
