"""`scripts/compile_core.py` on a core of two small modules: real mypyc, real C compiler, real processes.

A compiler of the tests' own stands in front of the real one where a build has to be held, counted or broken.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")
BUILD_S = 90
COMPILER = (sysconfig.get_config_var("CC") or "cc").split()[0]

pytestmark = pytest.mark.skipif(shutil.which(COMPILER) is None, reason=f"no C compiler ({COMPILER})")

UNITS = "def div_ceil(numerator: int, denominator: int) -> int:\n    return -(-numerator // denominator)\n"
FEES = (
    "from exchange.core.units import div_ceil\n\n\n"
    "def fee(notional: int) -> int:\n    return div_ceil(notional, 10)\n"
)


class Tree:
    """A checkout with nothing in it but a small core and what compiles it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.script = root / "scripts/compile_core.py"
        self.core = root / "backend/exchange/core"
        self.folder = self.core / "compiled"
        self.fees = self.core / "fees.py"
        self.stamp = self.folder / "stamp"
        self.library = self.folder / f"exchange_core__mypyc{SUFFIX}"
        self.started: list[subprocess.Popen[str]] = []

    def environment(self, **more: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name not in {"EXCHANGE_CORE", "CC"}}
        return {**kept, "PYTHONPATH": str(self.root / "backend")} | more

    def start(self, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(self.script)],
            env=self.environment(**environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def compile(self, **environment: str) -> tuple[int, str]:
        """The exit code of the script, and all that it said."""
        process = self.start(**environment)
        output, errors = process.communicate(timeout=BUILD_S)
        return process.returncode, output + errors

    def ask(self, **environment: str) -> tuple[str, str]:
        """What the package of this tree answers: the fee of 101, by which kind of file; and its stderr."""
        program = "from exchange.core import fees; print(fees.fee(101), fees.__file__)"
        asked = subprocess.run(
            [sys.executable, "-c", program],
            env=self.environment(**environment),
            capture_output=True,
            text=True,
            timeout=BUILD_S,
            check=True,
        )
        fee, file = asked.stdout.split()
        kind = "compiled" if Path(file).parent == self.folder else "interpreted"
        assert (kind == "compiled") == file.endswith(SUFFIX)
        return f"{fee} {kind}", asked.stderr

    def edit_fees(self, divisor: int) -> None:
        self.fees.write_text(FEES.replace("10)", f"{divisor})"))

    def content(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.folder.iterdir()}


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """A tree that was compiled once. Not to be touched: tests have copies."""
    tree = Tree(tmp_path_factory.mktemp("pristine"))
    tree.core.mkdir(parents=True)
    tree.script.parent.mkdir()
    shutil.copy2(ROOT / "scripts/compile_core.py", tree.script)
    shutil.copy2(ROOT / "backend/exchange/__init__.py", tree.core.parent)
    listed = (ROOT / "backend/exchange/compiled.py").read_text()
    few = re.sub(r"\nMODULES = \(.*?\n\)\n", '\nMODULES = ("fees", "units")\n', listed, flags=re.DOTALL)
    assert few != listed
    (tree.core.parent / "compiled.py").write_text(few)
    (tree.core / "__init__.py").touch()
    (tree.core / "units.py").write_text(UNITS)
    tree.fees.write_text(FEES)
    code, said = tree.compile()
    assert code == 0, said
    assert tree.ask() == ("11 compiled", "")
    return tree


@pytest.fixture
def built(pristine: Tree, tmp_path: Path) -> Iterator[Tree]:
    shutil.copytree(pristine.root, tmp_path / "tree")
    tree = Tree(tmp_path / "tree")
    yield tree
    for process in tree.started:
        with process:
            process.kill()


@pytest.fixture
def tree(built: Tree) -> Tree:
    """A tree of which nothing has been compiled yet."""
    shutil.rmtree(built.folder)
    return built


@pytest.fixture
def compiler(tmp_path: Path) -> Callable[[str], str]:
    """Makes a compiler that runs some lines of shell first and notes each run in `runs`."""

    def make(lines: str) -> str:
        program = tmp_path / "compiler"
        program.write_text(f'#!/bin/sh\necho run >> {tmp_path}/runs\n{lines}\nexec {COMPILER} "$@"\n')
        program.chmod(0o755)
        return str(program)

    return make


def before_it_compiles(tree: Tree, tmp_path: Path, program: str) -> dict[str, str]:
    """An environment in which the process that compiles runs the program before anything else."""
    hook = tmp_path / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(
        "import os, pathlib, sys\n"
        "arguments = sys.orig_argv[1:]\n"
        "if 'build' in arguments or '-c' in arguments:\n"
        "    del os.environ['PYTHONPATH']\n"  # nothing that it starts does it again
        f"    {program}\n"
    )
    return {"PYTHONPATH": f"{hook}:{tree.root / 'backend'}"}


# ---- what is compiled is what the stamp names


def test_what_fits_is_left_alone_and_nothing_is_said(built: Tree) -> None:
    before = built.content()
    inode = built.folder.stat().st_ino
    assert built.compile() == (0, "")
    assert built.folder.stat().st_ino == inode
    assert built.content() == before


def test_an_edit_that_is_taken_back_while_it_compiles_is_not_compiled(
    tree: Tree, tmp_path: Path, compiler: Callable[[str], str]
) -> None:
    """As by a stash, a planted fault or an undo in the editor."""
    saved = shutil.copy2(tree.fees, tmp_path)
    edited = FEES.replace("10)", "5)")
    edit = before_it_compiles(tree, tmp_path, f"pathlib.Path({str(tree.fees)!r}).write_text({edited!r})")
    code, said = tree.compile(CC=compiler(f"cmp -s {saved} {tree.fees} || cp {saved} {tree.fees}"), **edit)
    assert code == 0, said
    assert tree.fees.read_text() == FEES
    assert tree.ask() == ("11 compiled", "")


def test_a_build_of_sources_that_have_changed_since_leaves_the_one_before(
    built: Tree, tmp_path: Path
) -> None:
    before = built.content()
    built.edit_fees(5)
    program = f"pathlib.Path({str(built.fees)!r}).write_text({FEES!r})"
    code, said = built.compile(**before_it_compiles(built, tmp_path, program))
    assert code == 0
    assert "edited while it was compiled: the engine stays as it was compiled before" in said
    assert built.content() == before
    assert built.ask() == ("11 compiled", "")


@pytest.mark.parametrize("edited", ["backend/exchange/compiled.py", "scripts/compile_core.py"])
def test_a_change_of_what_is_compiled_or_how_makes_the_build_unfit(built: Tree, edited: str) -> None:
    with (built.root / edited).open("a") as source:
        source.write("# edited\n")
    assert built.ask()[0] == "11 interpreted"


def test_another_version_of_the_compiler_is_a_reason_to_compile_but_none_to_interpret(built: Tree) -> None:
    stamp = built.stamp.read_text()
    older = re.sub("mypy [0-9.]+", "mypy 0.1", stamp)
    assert older != stamp
    built.stamp.write_text(older)
    assert built.ask() == ("11 compiled", "")
    told = "   no C compiler (none): the engine stays as it was compiled before\n"
    assert built.compile(CC="none") == (0, told)


def test_the_lock_that_an_editor_leaves_beside_a_source_is_no_source(built: Tree) -> None:
    (built.core / ".#fees.py").symlink_to("somebody@somewhere.1234:5678")
    assert built.ask() == ("11 compiled", "")
    assert built.compile() == (0, "")


# ---- one at a time, whole or not at all


def test_of_two_builds_at_once_one_compiles_and_the_other_waits(
    tree: Tree, tmp_path: Path, compiler: Callable[[str], str]
) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    held = compiler(f"[ -e {gate} ] && cat {gate} && rm {gate}")
    first = tree.start(CC=held)
    with gate.open("w"):  # opens when the first compiler has come to it
        second = tree.start(CC=held)
        assert second.stderr is not None
        assert "compiled already: waiting" in second.stderr.readline()
        assert second.poll() is None
    gate.unlink(missing_ok=True)
    _, said = first.communicate(timeout=BUILD_S)
    assert (first.returncode, said) == (0, "")
    runs = (tmp_path / "runs").read_text()
    output, said = second.communicate(timeout=BUILD_S)
    assert (second.returncode, output, said) == (0, "", "")
    assert (tmp_path / "runs").read_text() == runs
    assert tree.ask() == ("11 compiled", "")


def test_a_build_that_is_killed_leaves_the_one_before_and_keeps_nobody_waiting(
    built: Tree, tmp_path: Path, compiler: Callable[[str], str]
) -> None:
    before = built.content()
    built.edit_fees(5)
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    build = f"[ -e {gate} ] && cat {gate} && exit 1"
    held = built.start(CC=compiler(f'case "$*" in *probe.c*) ;; *) {build} ;; esac'))
    with gate.open("w"):
        assert (built.core / "compiled.new").exists()
        held.kill()
        held.communicate()
        gate.unlink()
    assert built.content() == before
    code, said = built.compile()
    assert (code, "waiting" in said) == (0, False)
    assert built.ask() == ("21 compiled", "")
    assert sorted(path.name for path in built.core.glob("compiled*")) == ["compiled"]


def test_sources_that_do_not_compile_are_interpreted_and_leave_the_build_before(built: Tree) -> None:
    before = built.content()
    built.fees.write_text(FEES.replace("notional: int", "notional: 'unknown'"))
    code, said = built.compile()
    assert code == 0
    assert 'Name "unknown" is not defined' in said
    assert said.endswith("compiling the core failed: the engine is interpreted, about half as fast\n")
    assert built.ask()[0] == "11 interpreted"
    assert built.content() == before
    built.edit_fees(10)
    assert built.ask() == ("11 compiled", "")


def test_a_folder_that_can_not_be_written_is_told_in_one_line(tree: Tree) -> None:
    (tree.core / "compiled.new").write_text("in the way")
    code, said = tree.compile()
    told = said.splitlines()[-1]
    assert code == 1
    assert "Traceback" not in said
    assert told.startswith("   the compiled core can not be put in its place: ")
    assert str(tree.core / "compiled.new") in told


# ---- damage


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5_000])


def flip_one_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [cut_off, flip_one_bit, empty, Path.unlink])
@pytest.mark.parametrize("what", ["library", "module"])
def test_a_damaged_file_is_never_loaded(built: Tree, damage: Callable[[Path], None], what: str) -> None:
    damage(built.library if what == "library" else built.folder / f"units{SUFFIX}")
    assert built.ask() == ("11 interpreted", "")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"sources\n", b"x" * 64])
def test_a_damaged_stamp_fits_nothing(built: Tree, content: bytes) -> None:
    built.stamp.write_bytes(content)
    assert built.ask() == ("11 interpreted", "")


def test_a_folder_with_nothing_in_it_but_a_stamp_fits_nothing(built: Tree) -> None:
    for path in built.folder.glob(f"*{SUFFIX}"):
        path.unlink()
    assert built.ask() == ("11 interpreted", "")


def stamp_as_it_is(tree: Tree) -> None:
    """Makes the stamp fit whatever is there."""
    program = (
        "from exchange import compiled as c; "
        "c.STAMP.write_text(c.stamp_of(c.FOLDER, c.sources_digest(), c.stamped_tools())); assert c.fits()"
    )
    subprocess.run(
        [sys.executable, "-c", program], env=tree.environment(EXCHANGE_CORE="python"), check=True, timeout=60
    )


def test_a_library_that_this_machine_can_not_load_is_warned_of(built: Tree) -> None:
    """As when the folder was copied here with everything else."""
    built.library.write_bytes(b"for another machine")
    stamp_as_it_is(built)
    answer, warning = built.ask()
    assert answer == "11 interpreted"
    assert warning.startswith("warning: the compiled core can not be loaded, so the engine is interpreted: ")
    assert warning.count("\n") == 1
    assert built.ask(EXCHANGE_CORE="python") == ("11 interpreted", "")


def test_a_library_that_ends_whoever_loads_it_is_compiled_again(built: Tree, tmp_path: Path) -> None:
    source = tmp_path / "crash.c"
    source.write_text("#include <stdlib.h>\nvoid *PyInit_exchange_core__mypyc(void) { abort(); }\n")
    subprocess.run([COMPILER, "-shared", "-fPIC", source, "-o", built.library], check=True, timeout=60)
    stamp_as_it_is(built)
    code, said = built.compile()
    assert code == 0, said
    assert built.ask() == ("11 compiled", "")


# ---- without a compiler


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ("no-such-compiler -pthread", "no C compiler (no-such-compiler)"),
        ("/bin/false", "the C compiler does not work (/bin/false)"),
        ("/bin/true", "the C compiler does not work (/bin/true)"),
        ("'cc", "CC can not be read (No closing quotation: 'cc)"),
    ],
)
def test_without_a_compiler_that_works_the_core_is_interpreted(tree: Tree, named: str, told: str) -> None:
    assert tree.compile(CC=named) == (0, f"   {told}: the engine is interpreted, about half as fast\n")
    assert tree.ask() == ("11 interpreted", "")


def test_a_blank_cc_is_as_good_as_none(tree: Tree) -> None:
    code, said = tree.compile(CC=" ")
    assert code == 0, said
    assert tree.ask() == ("11 compiled", "")


# ---- make


@pytest.mark.skipif(shutil.which("make") is None, reason="no make")
def test_make_asks_the_script_each_time() -> None:
    """What a file's time says is not what is there: a folder goes, a compiler comes."""
    old = [f"--old-file={name}" for name in (".venv/.ready", "node_modules/.ready", "build/contracts/.ready")]
    told = subprocess.run(
        ["make", "--dry-run", "-C", str(ROOT), *old, "run"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "scripts/compile_core.py" in told.stdout
