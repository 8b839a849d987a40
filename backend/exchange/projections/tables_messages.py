"""What the process of the read tables says to the exchange's: JSON, one message a line.

The other way there is one byte, whatever it is: something may have been committed.
"""

import msgspec


class Started(msgspec.Struct, frozen=True):
    """The only line on its stdin: where the database is."""

    database_url: str


class Progress(msgspec.Struct, frozen=True, tag="progress"):
    """Everything up to `seq` is in the tables, committed."""

    seq: int


class Waiting(msgspec.Struct, frozen=True, tag="waiting"):
    """There is nothing more: it wants to be woken."""


class Said(msgspec.Struct, frozen=True, tag="said"):
    """Something for the log."""

    level: str
    event: str
    fields: dict[str, str]


Message = Progress | Waiting | Said
encode_message = msgspec.json.Encoder().encode
decode_message = msgspec.json.Decoder(Message).decode
