"""Writes the OpenAPI document to docs/api/openapi.json: `python -m exchange.edge.openapi_file`.

The file is a product that is checked in; a test fails when it is not what the code makes.
"""

import json
import sys
from pathlib import Path

from exchange.edge.app import routed_app
from exchange.edge.documentation import openapi_document

OPENAPI_FILE = Path(__file__).parents[3] / "docs" / "api" / "openapi.json"


def document_text() -> str:
    """The document as it is checked in."""
    return json.dumps(openapi_document(routed_app(Path())), indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Writes the file."""
    OPENAPI_FILE.write_text(document_text())
    sys.stdout.write(f"wrote {OPENAPI_FILE}\n")


if __name__ == "__main__":
    main()
