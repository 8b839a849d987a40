"""The compiled core: the same sources through mypyc, used only where it was built from just these sources.

`scripts/compile_core.py` builds it into `core/compiled/`, with a stamp that names the sources, the Python it
was built for and every file that was built. What does not match the stamp is never imported: the sources are,
as if nothing had been compiled. So an edit of the core takes effect at once, and a compiled core can neither
grow stale nor be damaged unnoticed.

`EXCHANGE_CORE=python` in the environment asks for the sources. It is read here and not in `config`, because
it must be known before the core is imported.
"""

import hashlib
import importlib
import importlib.util
import os
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = Path("backend/exchange")
SCRIPT = Path("scripts/compile_core.py")
"""Both as seen from the root, be it of this checkout or of the copy that is compiled."""

CORE = ROOT / PACKAGE / "core"
FOLDER = CORE / "compiled"
STAMP = FOLDER / "stamp"
SUFFIX = str(sysconfig.get_config_var("EXT_SUFFIX"))
LIBRARY = "exchange_core"
LIBRARY_MODULE = f"{LIBRARY}__mypyc"
"""All compiled modules are in one library, so that their calls of each other are C calls."""

MODULES = (
    "accounts",
    "admission",
    "agents",
    "amending",
    "apply",
    "approving",
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


FILES = tuple(f"{name}{SUFFIX}" for name in (LIBRARY_MODULE, *MODULES))
"""What a build consists of."""


def sources(root: Path) -> list[Path]:
    """What decides what is built, below this root: the core, the list of modules, how they are compiled."""
    return [
        root / PACKAGE / "compiled.py",
        root / SCRIPT,
        *sorted((root / PACKAGE / "core").glob("[!.]*.py")),  # editors put their locks there as `.#name.py`
    ]


def sources_digest(root: Path = ROOT) -> str:
    """Names the sources and the Python that runs them. Raises OSError."""
    digest = hashlib.sha256(SUFFIX.encode())
    for path in sources(root):
        content = path.read_bytes()
        digest.update(f"\n{path.name} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def stamp_of(folder: Path, digest: str, tools: str) -> str:
    """The stamp of what stands in the folder, built from sources of this digest. Raises OSError.

    `tools` names what built it. Nothing depends on it at run time: only the script asks, to build it anew.
    """
    lines = [f"sources {digest}", f"tools {tools}"]
    for name in FILES:
        with (folder / name).open("rb") as file:
            lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()} {name}")
    return "\n".join(lines)


def stamped_tools() -> str:
    """What the compiled core was built with. Raises OSError."""
    return STAMP.read_text(errors="replace").partition("\ntools ")[2].partition("\n")[0]


def is_wanted() -> bool:
    """Whether a compiled core may be used in this process."""
    return os.environ.get("EXCHANGE_CORE") != "python"


def fits() -> bool:
    """Whether there is a compiled core, made from just these sources and whole. Takes about 2 ms."""
    try:
        return STAMP.read_text(errors="replace") == stamp_of(FOLDER, sources_digest(), stamped_tools())
    except OSError:
        return False


def is_in_use() -> bool:
    """Whether this process runs the compiled core."""
    return LIBRARY_MODULE in sys.modules


def prefer() -> None:
    """Puts the compiled modules in front of their sources, if they fit. Before the core is first imported.

    A library that fits and still does not load, because it came from another machine, is left alone.
    """
    if not is_wanted() or not fits():
        return
    try:
        _load_library()
    except (ImportError, OSError) as error:
        sys.modules.pop(LIBRARY_MODULE, None)
        sys.stderr.write(
            f"warning: the compiled core can not be loaded, so the engine is interpreted: {error}; "
            f"{SCRIPT} builds it again\n"
        )
        return
    importlib.import_module("exchange.core").__path__.insert(0, str(FOLDER))


def _load_library() -> None:
    spec = importlib.util.spec_from_file_location(LIBRARY_MODULE, FOLDER / FILES[0])
    assert spec is not None
    assert spec.loader is not None
    library = importlib.util.module_from_spec(spec)
    sys.modules[LIBRARY_MODULE] = library
    spec.loader.exec_module(library)
