"""Health: whether the process runs, and apart from that whether it can serve."""

from collections.abc import Callable

import asyncpg
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from exchange.edge.dependencies import edge_of
from exchange.edge.readiness import CHECK_TIMEOUT_S, HealthPart
from exchange.stores.clickhouse import ClickHouse
from exchange.stores.errors import ClickHouseError

router = APIRouter(tags=["health"])


class LiveAnswer(BaseModel):
    """The process runs and its loop turns."""

    live: bool = Field(default=True, examples=[True])


class PartAnswer(BaseModel):
    """One part: required for trading or not, and what is wrong with it."""

    name: str = Field(examples=["postgres"])
    required: bool = Field(examples=[True])
    ready: bool = Field(examples=[True])
    detail: str | None = Field(default=None, examples=[None])


class ReadyAnswer(BaseModel):
    """`ready` is whether every required part is; the others are reported."""

    ready: bool = Field(examples=[True])
    seq: int = Field(examples=[1042])
    parts: list[PartAnswer]


@router.get("/v1/health/live")
async def get_live() -> LiveAnswer:
    """200 while the process runs. Restart it when this does not answer."""
    return LiveAnswer()


@router.get("/v1/health/ready", responses={503: {"model": ReadyAnswer, "description": "Not ready."}})
async def get_ready(request: Request, response: Response) -> ReadyAnswer:
    """200 when the process can serve, else 503; names every part that is not ready."""
    edge = edge_of(request)
    parts = await edge.readiness.parts()
    ready = all(part.ready for part in parts if part.required)
    response.status_code = 200 if ready else 503
    answers = [
        PartAnswer(name=name, required=required, ready=detail is None, detail=detail)
        for name, required, detail in parts
    ]
    return ReadyAnswer(ready=ready, seq=edge.view.seq, parts=answers)


def postgres_part(pool: asyncpg.Pool) -> HealthPart:
    """Ready while the database answers."""

    async def check() -> str | None:
        await pool.fetchval("SELECT 1", timeout=CHECK_TIMEOUT_S)
        return None

    return HealthPart("postgres", required=True, check=check)


def clickhouse_part(clickhouse: ClickHouse) -> HealthPart:
    """Ready while ClickHouse answers; only market data waits for it."""

    async def check() -> Exception | None:
        try:
            await clickhouse.ping()
        except ClickHouseError as error:
            return error
        return None

    return HealthPart("clickhouse", required=False, check=check)


def engine_part(running: Callable[[], bool]) -> HealthPart:
    """Ready while the sequencer takes commands."""

    async def check() -> str | None:
        return None if running() else "the engine has stopped"

    return HealthPart("engine", required=True, check=check)


def login_part(fault: Callable[[], Exception | None]) -> HealthPart:
    """Ready unless the package that logins are made with can not be imported."""

    async def check() -> str | None:
        return None if fault() is None else "nobody can sign in: the siwe package can not be imported"

    return HealthPart("login", required=False, check=check)


def lag_part(
    name: str, head_seq: Callable[[], int], seq: Callable[[], int], max_lag: int, *, required: bool
) -> HealthPart:
    """Ready while a follower of the journal is at most `max_lag` commands behind."""

    async def check() -> str | None:
        lag = head_seq() - seq()
        return None if lag <= max_lag else f"{lag} commands behind"

    return HealthPart(name, required=required, check=check)
