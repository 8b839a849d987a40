"""The tree of errors, held against the exchange's own list of codes."""

import re
from pathlib import Path

import pytest

from exchange_sdk import errors
from exchange_sdk.codes import STATUS
from exchange_sdk.errors import ExchangeError, OutcomeUnknown, Problem, Refused, error_of

ERRORS_PAGE = Path(__file__).parents[2] / "docs" / "api" / "errors.md"
LISTED = {
    code: int(status)
    for code, status in re.findall(r"^\| `([a-z_]+)` \| ([0-9]{3}) \|", ERRORS_PAGE.read_text(), re.MULTILINE)
}


def subclasses(kind: type[Refused]) -> list[type[Refused]]:
    return [kind, *(below for one in kind.__subclasses__() for below in subclasses(one))]


def test_every_code_of_the_exchange_is_known_with_its_status() -> None:
    assert len(LISTED) > 100
    assert STATUS == LISTED


def test_every_code_that_has_a_class_of_its_own_is_one_of_the_exchange() -> None:
    for kind in subclasses(Refused):
        assert kind.codes <= LISTED.keys(), kind


@pytest.mark.parametrize("code", LISTED)
def test_every_code_becomes_an_exception_that_carries_it(code: str) -> None:
    over_http = error_of(Problem(code=code, detail="why", status=LISTED[code]))
    over_a_stream = error_of(Problem(code=code, detail="why"))
    assert type(over_http) is type(over_a_stream)
    assert over_http.code == code
    if code == "outcome_unknown":
        assert isinstance(over_http, OutcomeUnknown)
    else:
        assert isinstance(over_http, Refused)
        assert type(over_http) is not Refused
        assert str(over_http) == f"{code}: why"


def test_a_code_of_a_newer_exchange_is_told_apart_by_its_status() -> None:
    kinds = {
        400: errors.BadRequest,
        401: errors.NotAuthenticated,
        403: errors.Forbidden,
        404: errors.NotFound,
        409: errors.Conflict,
        418: errors.BadRequest,
        422: errors.Invalid,
        429: errors.RateLimited,
        500: errors.ServerError,
        503: errors.Unavailable,
        0: Refused,
    }
    for status, kind in kinds.items():
        assert type(error_of(Problem(code="brand_new", status=status))) is kind


def test_an_error_tells_everything_that_helps() -> None:
    error = error_of(
        Problem(
            code="price_off_tick",
            detail="must be whole",
            field="price",
            nearest=("3000", "3000.01"),
            request_id="1f0c",
            retry_after_s=2,
        )
    )
    assert (
        str(error)
        == "price_off_tick: must be whole (field price; nearest 3000, 3000.01; retry after 2 s; request 1f0c)"
    )


def test_the_whole_tree_is_in_the_modules_documentation() -> None:
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, ExchangeError) and kind is not ExchangeError:
            assert name in (errors.__doc__ or ""), f"{name} is not told of"
