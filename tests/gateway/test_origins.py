import pytest

from exchange.gateway.origins import check_origin
from exchange.gateway.refusals import OriginRefused

ALLOWED = frozenset({"http://localhost:8000"})


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_a_safe_request_may_come_from_anywhere(method):
    check_origin(method, "https://evil.example", ALLOWED, uses_cookie=True)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "ANYTHING"])
@pytest.mark.parametrize(
    "origin",
    [
        "https://localhost:8000",
        "http://localhost",
        "http://localhost:80000",
        "http://localhost:8000/",
        "http://evil.localhost:8000",
        "HTTP://LOCALHOST:8000",
        "null",
        "",
    ],
)
def test_an_unsafe_request_from_another_origin_is_refused(method, origin):
    with pytest.raises(OriginRefused) as caught:
        check_origin(method, origin, ALLOWED, uses_cookie=False)
    assert caught.value.code == "origin_not_allowed"


def test_an_unsafe_request_by_cookie_must_state_its_origin():
    with pytest.raises(OriginRefused) as caught:
        check_origin("POST", None, ALLOWED, uses_cookie=True)
    assert caught.value.code == "origin_required"


def test_a_program_with_a_bearer_token_states_no_origin():
    check_origin("DELETE", None, ALLOWED, uses_cookie=False)


def test_our_own_pages_may_act():
    check_origin("POST", "http://localhost:8000", ALLOWED, uses_cookie=True)
