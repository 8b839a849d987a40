"""Answers that need not be sent again: entity tags, `If-None-Match` and `Cache-Control` of public reads.

A tag is made of what is answered, without its `seq`: it is weak, because the same content as of another seq
is as good. 304 says that what the client holds is true now too. These answers depend on nothing but the
address, so there is no `Vary`. All others keep the envelope's `no-store`. Sources: RFC 9110 8.8.3, 13.1.2,
15.4.5; RFC 9111 5.2.2.
"""

import re
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

import msgspec
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

REVALIDATE: Final = "public, no-cache"
"""May be kept, but is asked for again each time; costs a 304 when nothing changed."""

FINAL: Final = "public, max-age=3600"
"""Will never change: may be kept for an hour without asking."""

NOT_MODIFIED: Final[dict[int | str, dict[str, Any]]] = {
    304: {"description": "What `If-None-Match` names is what would be answered."}
}
"""`responses` of the routes that give tags."""

_ITEM = re.compile(r'[ \t]*(?:(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")[ \t]*)?(?:,|\Z)')


@dataclass(frozen=True, slots=True)
class Prepared:
    """An answer that is ready to be sent, to anybody who asks for it."""

    body: bytes
    tag: str
    cache_control: str


def prepared(content: bytes, seq: int | None = None, cache_control: str = REVALIDATE) -> Prepared:
    """Of JSON without a `seq`; with one it is an object's, and the `seq` is put in front after the tag."""
    body = content if seq is None else b'{"seq":%d,%b' % (seq, content[1:])
    return Prepared(body, _tag_of(content), cache_control)


def answered_with(request: Request, answer: Prepared) -> Response:
    """The answer with its tag; or 304 when the client has it."""
    unchanged = not_modified(request, answer.tag, answer.cache_control)
    if unchanged is not None:
        return unchanged
    return _tagged(answer.body, answer.tag, answer.cache_control)


def answered(request: Request, answer: BaseModel, cache_control: str = REVALIDATE) -> Response:
    """The same for a model."""
    content = answer.model_dump_json(exclude={"seq"}, by_alias=True).encode()
    return answered_with(request, prepared(content, getattr(answer, "seq", None), cache_control))


def tagged(answer: BaseModel, tag: str, cache_control: str = REVALIDATE) -> Response:
    """The answer under a tag made before."""
    return _tagged(answer.model_dump_json(by_alias=True).encode(), tag, cache_control)


def not_modified(request: Request, tag: str, cache_control: str = REVALIDATE) -> Response | None:
    """304 when the request's `If-None-Match` has the tag, else None."""
    if not has_tag(request.headers.getlist("if-none-match"), tag):
        return None
    return Response(status_code=304, headers={"ETag": tag, "Cache-Control": cache_control})


def weak_tag(*content: object) -> str:
    """A tag that is the same for the same content: strings, numbers, None."""
    return _tag_of(msgspec.json.encode(content))


def has_tag(header_lines: list[str], tag: str) -> bool:
    """Whether `If-None-Match`, of one or more lines, is `*` or names the tag, weakly compared.

    A header that does not follow the grammar names nothing.
    """
    text = ",".join(header_lines)
    if text.strip(" \t") == "*":
        return True
    opaque = tag.removeprefix("W/")
    found = False
    place = 0
    while place < len(text):
        item = _ITEM.match(text, place)
        if item is None:
            return False
        found = found or item[1] == opaque
        place = item.end()
    return found


def _tag_of(content: bytes) -> str:
    return f'W/"{blake2b(content, digest_size=12).hexdigest()}"'


def _tagged(body: bytes, tag: str, cache_control: str) -> Response:
    headers = {"ETag": tag, "Cache-Control": cache_control}
    return Response(body, media_type="application/json", headers=headers)
