"""Compiles the core with mypyc, so that the engine runs about twice as fast. See docs/decisions/0016.

Usage: compile_core.py. Does nothing when what is there fits the sources, which it finds out in a tenth of a
second. Where the core can not be compiled (no C compiler, no headers of Python, sources that mypyc does not
take) it says why and leaves the sources to be interpreted: everything works the same, only slower.

What is compiled is a copy, and the copy is what the stamp names: an edit meanwhile changes neither. One build
runs at a time. It is put together beside the old one and takes its place by being renamed.
"""

import contextlib
import fcntl
import importlib.metadata
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
TOOLS = ("mypy", "setuptools")
LOAD = """
import sys
from importlib.util import module_from_spec, spec_from_file_location

spec = spec_from_file_location(*sys.argv[1:])
spec.loader.exec_module(module_from_spec(spec))
"""


def _read_compiled() -> Any:
    """`exchange.compiled` by itself: to import the package would load the very library that may be broken."""
    spec = importlib.util.spec_from_file_location("compiled", ROOT / "backend/exchange/compiled.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


compiled = _read_compiled()
NEW = compiled.FOLDER.with_name("compiled.new")
OLD = compiled.FOLDER.with_name("compiled.old")


class CannotCompile(Exception):
    """The core can not be compiled here, or not now."""


class CannotInstall(Exception):
    """A file or folder of the core can not be written or removed. A person has to see to it."""

    def __init__(self, error: OSError) -> None:
        self.path = error.filename or compiled.FOLDER
        super().__init__(
            f"the compiled core can not be put in its place: {self.path}: {error.strerror or error}"
        )


def main() -> int:
    """0 when the exchange can start, its core compiled or not; 1 when the folder can not be written."""
    try:
        with alone():
            if not is_done():
                make()
    except CannotInstall as error:
        print(f"   {error}", file=sys.stderr)
        return 1
    except (CannotCompile, OSError) as error:
        runs = "stays as it was compiled before" if is_usable() else "is interpreted, about half as fast"
        print(f"   {error}: the engine {runs}", file=sys.stderr)
    return 0


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Waits until no other build is under way, and keeps others waiting. Ends with the process, however."""
    folder = os.open(compiled.CORE, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("   the core is being compiled already: waiting for it", file=sys.stderr, flush=True)
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def is_done() -> bool:
    """Whether there is nothing to do."""
    return is_usable() and compiled.stamped_tools() == tools()


def is_usable() -> bool:
    """Whether the compiled core fits and can be loaded on this machine."""
    return compiled.fits() and loads(compiled.FOLDER)


def loads(folder: Path) -> bool:
    """Whether the library in the folder can be loaded; in a process of its own, which it may end."""
    library = [compiled.LIBRARY_MODULE, str(folder / compiled.FILES[0])]
    asked = subprocess.run(
        [sys.executable, "-I", "-S", "-c", LOAD, *library], capture_output=True, check=False
    )
    return asked.returncode == 0


def tools() -> str:
    """What a build is made with. Empty when it is not installed."""
    try:
        return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in TOOLS)
    except importlib.metadata.PackageNotFoundError:
        return ""


def make() -> None:
    """Compiles the sources and installs what comes out. Raises CannotCompile, CannotInstall, OSError."""
    missing = what_is_missing()
    if missing:
        raise CannotCompile(missing)
    print("== the engine's core, compiled (half a minute)", flush=True)
    with writing():
        remove(NEW)
        NEW.mkdir()  # before the long work, so that it is not for nothing where nothing can be written
    try:
        digest = compile_copy()
        if not loads(NEW):
            raise CannotCompile("the core was compiled, but can not be loaded")
        if compiled.sources_digest() != digest:
            raise CannotCompile("the core was edited while it was compiled")
        with writing():
            swap()
    finally:
        shutil.rmtree(NEW, ignore_errors=True)


def compile_copy() -> str:
    """Compiles a copy of the sources into the new folder. The digest of the copy."""
    with tempfile.TemporaryDirectory(prefix="compile-core-") as scratch:
        copy = Path(scratch) / "copy"
        digest = copy_sources(copy)
        done = subprocess.run(
            [sys.executable, copy / compiled.SCRIPT, "build", Path(scratch) / "built"],
            cwd=copy / compiled.PACKAGE.parent,
            env=build_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode:
            print(done.stdout[-5_000:], file=sys.stderr)
            raise CannotCompile("compiling the core failed")
        with writing():
            collect(Path(scratch) / "built/lib", digest)
    return digest


def what_is_missing() -> str:
    """What compiling needs and this machine does not have; empty when it has everything."""
    if not tools():
        return f"{' or '.join(TOOLS)} is not installed"
    include = sysconfig.get_path("include")
    if not (Path(include) / "Python.h").exists():
        return "no Python headers (Python.h)"
    named = build_environment().get("CC") or sysconfig.get_config_var("CC") or "cc"
    try:
        compiler = shlex.split(named)
    except ValueError as error:
        return f"CC can not be read ({error}: {named})"
    if shutil.which(compiler[0]) is None:
        return f"no C compiler ({compiler[0]})"
    with tempfile.TemporaryDirectory(prefix="compile-core-") as scratch:
        probe = Path(scratch) / "probe.c"
        probe.write_text("#include <Python.h>\n")
        tried = subprocess.run(
            [*compiler, f"-I{include}", "-c", probe, "-o", probe.with_suffix(".o")],
            capture_output=True,
            check=False,
        )
        works = tried.returncode == 0 and probe.with_suffix(".o").exists()
    return "" if works else f"the C compiler does not work ({named})"


def build_environment() -> dict[str, str]:
    """The environment, in which a blank CC is none."""
    kept = {name: value for name, value in os.environ.items() if name != "CC" or value.strip()}
    return {**kept, "MYPYPATH": "."}


def copy_sources(copy: Path) -> str:
    """Copies what is compiled, and all that mypy has to see beside it. The digest of the copy."""
    for path in compiled.sources(ROOT):
        target = copy / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    (copy / compiled.PACKAGE / "__init__.py").touch()
    digest: str = compiled.sources_digest(copy)
    return digest


def build(target: Path) -> None:
    """Compiles the modules below the current folder. It is the copy of this script that does it."""
    from mypyc.build import mypycify  # noqa: PLC0415 - takes longer than to find out that nothing is to do
    from setuptools import setup  # noqa: PLC0415

    modules = [f"exchange/core/{name}.py" for name in compiled.MODULES]
    extensions = mypycify(
        ["--config-file=", "--strict", "--no-incremental", *modules],
        group_name=compiled.LIBRARY,
        target_dir=str(target / "c"),
        debug_level="0",
    )
    built = ["--build-lib", str(target / "lib"), "--build-temp", str(target / "temp")]
    setup(name=compiled.LIBRARY, ext_modules=extensions, script_args=["-q", "build_ext", *built])


@contextlib.contextmanager
def writing() -> Iterator[None]:
    """Within, a failure of the file system is one that a person has to see to. Raises CannotInstall."""
    try:
        yield
    except OSError as error:
        raise CannotInstall(error) from error


def collect(built: Path, digest: str) -> None:
    """Puts the built modules and their stamp into the new folder, down to the disk. Raises OSError."""
    for name in compiled.FILES:
        home = built if name == compiled.FILES[0] else built / "exchange/core"
        shutil.copy2(home / name, NEW / name)
    (NEW / compiled.STAMP.name).write_text(compiled.stamp_of(NEW, digest, tools()))
    for path in (*NEW.iterdir(), NEW):
        sync(path)


def swap() -> None:
    """The new folder takes the old one's place. Cut off anywhere, it leaves one that is whole, or none."""
    remove(OLD)
    if compiled.FOLDER.exists():
        compiled.FOLDER.rename(OLD)
    NEW.rename(compiled.FOLDER)
    sync(compiled.CORE)
    remove(OLD)


def remove(folder: Path) -> None:
    """Removes the folder, if there is one. Raises OSError."""
    if folder.exists():
        shutil.rmtree(folder)


def sync(path: Path) -> None:
    """Brings a file, or the names in a folder, down to the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    if sys.argv[1:2] == ["build"]:
        build(Path(sys.argv[2]))
    else:
        sys.exit(main())
