"""What the parts of a state are made of, whether the core is compiled or not."""

from dataclasses import fields, is_dataclass
from typing import Any

from exchange.core.orders import Order

LINKS = {"level", "ahead", "behind"}
"""Of an order to where it stands."""


def fields_of(kind: Any) -> tuple[str, ...]:
    """The names of a class's fields, in the order in which they are declared."""
    if hasattr(kind, "__struct_fields__"):
        return tuple(kind.__struct_fields__)
    if is_dataclass(kind):
        return tuple(field.name for field in fields(kind))
    compiled = getattr(kind, "__mypyc_attrs__", None)
    return tuple(compiled or getattr(kind, "__annotations__", None) or kind.__slots__)


def copy_of(order: Order) -> Order:
    """Another order that says the same, in no queue."""
    names = fields_of(Order)
    told = names.index("awaiting_trigger")
    copy = Order(*(getattr(order, name) for name in names[:told]))
    for name in names[told:]:
        if name not in LINKS:
            setattr(copy, name, getattr(order, name))
    return copy
