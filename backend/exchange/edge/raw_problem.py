"""A problem as the bytes of a whole HTTP answer, for where no request is at hand to answer with one."""

import secrets

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from exchange.edge.envelope import SECURITY_HEADERS
from exchange.edge.problems import Problem


def last_answer(problem: Problem) -> bytes:
    """Status line, headers and body; the connection is to be closed after it."""
    problem.headers = {"Connection": "close"} | SECURITY_HEADERS | problem.headers
    identifier = secrets.token_hex(8)
    response = problem.response(identifier)
    response.headers["X-Request-Id"] = identifier
    head = [name + b": " + value + b"\r\n" for name, value in response.raw_headers]
    return b"".join([STATUS_LINE[problem.status], *head, b"\r\n", bytes(response.body)])
