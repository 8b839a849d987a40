"""Frames held against docs/api/asyncapi.json, the file as it is checked in: what a stranger would do."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs

ASYNCAPI_FILE = Path(__file__).parents[2] / "docs" / "api" / "asyncapi.json"

Frame = dict[str, Any]


@cache
def document() -> Frame:
    loaded: Frame = json.loads(ASYNCAPI_FILE.read_text())
    return loaded


class Shapes:
    """The schemas of what the exchange sends, by (type, channel), of results by (type, op)."""

    def __init__(self) -> None:
        components = document()["components"]
        self._by_kind: dict[tuple[str, str | None], jsonschema_rs.Draft7Validator] = {}
        self.seen: set[tuple[str, str | None]] = set()
        for name, schema in components["schemas"].items():
            members = schema.get("properties", {})
            if name not in components["messages"] or "const" not in members.get("type", {}):
                continue
            of = members.get("channel", members.get("op", {}))
            kind = (members["type"]["const"], of.get("const"))
            assert kind not in self._by_kind, kind
            self._by_kind[kind] = jsonschema_rs.Draft7Validator(
                {"allOf": [{"$ref": f"#/components/schemas/{name}"}], "components": components}
            )

    @property
    def kinds(self) -> set[tuple[str, str | None]]:
        return set(self._by_kind)

    def check(self, text: str) -> Frame:
        """The frame, which must be exactly of one documented kind."""
        frame: Frame = json.loads(text)
        assert type(frame) is dict, text
        kind = (frame.get("type"), frame.get("channel", frame.get("op")))
        assert kind in self._by_kind, f"no documented message: {text[:500]}"
        errors = [str(error) for error in self._by_kind[kind].iter_errors(frame)]
        assert not errors, f"{text[:1000]}\n{errors[0][:1000]}"
        self.seen.add(kind)
        return frame


SHAPES = Shapes()


def channel_texts() -> str:
    """What the document says in words about the channel: close codes and limits."""
    text: str = document()["channels"]["streams"]["description"]
    return text
