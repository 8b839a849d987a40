"""Writes the AsyncAPI document to docs/api/asyncapi.json: `python -m exchange.edge.ws.asyncapi_file`.

The file is a product that is checked in; a test fails when it is not what the code makes.
"""

import json
import sys
from pathlib import Path

from exchange.edge.ws.asyncapi import asyncapi_document

ASYNCAPI_FILE = Path(__file__).parents[4] / "docs" / "api" / "asyncapi.json"


def document_text() -> str:
    """The document as it is checked in."""
    return json.dumps(asyncapi_document(), indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Writes the file."""
    ASYNCAPI_FILE.write_text(document_text())
    sys.stdout.write(f"wrote {ASYNCAPI_FILE}\n")


if __name__ == "__main__":
    main()
