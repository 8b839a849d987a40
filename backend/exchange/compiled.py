"""The compiled core: the same sources through mypyc, used only where it was built from just these sources.

`scripts/compile_core.py` builds it into `core/compiled/`, with a stamp that names the sources and the Python
that it was built for. What does not match the stamp is never imported: the sources are, as if nothing had
been compiled. So an edit of the core takes effect at once, and a compiled core can not grow stale.

`EXCHANGE_CORE=python` in the environment asks for the sources. It is read here and not in `config`, because
it must be known before the core is imported.
"""

import hashlib
import importlib.util
import os
import sys
import sysconfig
from pathlib import Path

import exchange.core

CORE = Path(__file__).parent / "core"
FOLDER = CORE / "compiled"
STAMP = FOLDER / "sources.sha256"
LIBRARY = "exchange_core"
LIBRARY_MODULE = f"{LIBRARY}__mypyc"
"""All compiled modules are in one library, so that their calls of each other are C calls."""

MODULES = (
    "accounts",
    "admission",
    "amending",
    "apply",
    "book",
    "by_id",
    "cancelling",
    "custody",
    "fees",
    "image",
    "ledger",
    "listing",
    "markets",
    "matching",
    "orders",
    "placing",
    "prices",
    "schedule",
    "state",
    "terms",
    "trading",
    "transfers",
    "units",
)
"""What is compiled; messages and rows stay with msgspec, which has C of its own."""


def sources_digest() -> str:
    """Names the core's sources and the Python that runs them: the stamp of a library that fits."""
    digest = hashlib.sha256(str(sysconfig.get_config_var("EXT_SUFFIX")).encode())
    for path in sorted(CORE.glob("*.py")):
        content = path.read_bytes()
        digest.update(f"\n{path.name} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def is_wanted() -> bool:
    """Whether a compiled core may be used in this process."""
    return os.environ.get("EXCHANGE_CORE") != "python"


def fits() -> bool:
    """Whether there is a compiled core, made from just these sources."""
    try:
        return STAMP.read_text() == sources_digest()
    except OSError:
        return False


def is_in_use() -> bool:
    """Whether this process runs the compiled core."""
    return LIBRARY_MODULE in sys.modules


def prefer() -> None:
    """Puts the compiled modules in front of their sources, if they fit. Before the core is first imported."""
    if not is_wanted() or not fits():
        return
    file = FOLDER / f"{LIBRARY_MODULE}{sysconfig.get_config_var('EXT_SUFFIX')}"
    spec = importlib.util.spec_from_file_location(LIBRARY_MODULE, file)
    assert spec is not None
    assert spec.loader is not None
    library = importlib.util.module_from_spec(spec)
    sys.modules[LIBRARY_MODULE] = library
    spec.loader.exec_module(library)
    exchange.core.__path__.insert(0, str(FOLDER))
