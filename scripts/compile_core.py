"""Compiles the core with mypyc, so that the engine runs about twice as fast. See docs/decisions/0016.

Usage: compile_core.py. Does nothing when what is there fits the sources. Without a C compiler or Python's
headers it says so and leaves the sources to be interpreted: everything works the same, only slower.
"""

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from exchange import compiled

BACKEND = Path(compiled.__file__).parents[1]
BUILD = """
import sys
from mypyc.build import mypycify
from setuptools import setup

target, library, *sources = sys.argv[1:]
extensions = mypycify(
    ["--strict", "--no-incremental", *sources], group_name=library, target_dir=target + "/c", debug_level="0",
)
setup(
    name=library,
    ext_modules=extensions,
    script_args=["-q", "build_ext", "--build-lib", target + "/lib", "--build-temp", target + "/temp"],
)
"""


def main() -> int:
    """0 when the core is compiled, or can not be here; 1 when compiling failed."""
    if compiled.fits():
        return 0
    missing = what_is_missing()
    if missing:
        print(f"   {missing}: the engine is interpreted, about half as fast", file=sys.stderr)
        return 0
    digest = compiled.sources_digest()
    with tempfile.TemporaryDirectory(prefix="compile-core-") as scratch:
        sources = [f"exchange/core/{name}.py" for name in compiled.MODULES]
        done = subprocess.run(
            [sys.executable, "-c", BUILD, scratch, compiled.LIBRARY, *sources],
            cwd=BACKEND,
            env={**os.environ, "EXCHANGE_CORE": "python", "MYPYPATH": str(BACKEND)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            print(done.stdout[-5_000:], "compiling the core failed", sep="\n", file=sys.stderr)
            return 1
        install(Path(scratch) / "lib", digest)
    return 0


def what_is_missing() -> str:
    """What compiling needs and this machine does not have; empty when it has everything."""
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")[0]
    if shutil.which(compiler) is None:
        return f"no C compiler ({compiler})"
    if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
        return "no Python headers (Python.h)"
    return ""


def install(built: Path, digest: str) -> None:
    """Puts the built modules in their place; the stamp last, so that what is half done is never used."""
    shutil.rmtree(compiled.FOLDER, ignore_errors=True)
    compiled.FOLDER.mkdir()
    for path in (*built.glob("*.*"), *(built / "exchange/core").glob("*.*")):
        shutil.copy2(path, compiled.FOLDER / path.name)
    compiled.STAMP.write_text(digest)


if __name__ == "__main__":
    sys.exit(main())
