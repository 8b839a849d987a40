"""The forge that make calls says by its exit code what it found."""

import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
FORGE = REPOSITORY / "bin" / "forge"


def test_what_forge_finds_wrong_is_in_its_exit_code(tmp_path: Path) -> None:
    source = tmp_path / "Source.sol"
    source.write_text("contract   Source{}\n")
    wrong = subprocess.run(
        [FORGE, "fmt", "--check", source], cwd=tmp_path, capture_output=True, timeout=60, check=False
    )
    assert wrong.returncode == 1, wrong.stderr
    subprocess.run([FORGE, "fmt", source], cwd=tmp_path, capture_output=True, timeout=60, check=True)
    subprocess.run(
        [FORGE, "fmt", "--check", source], cwd=tmp_path, capture_output=True, timeout=60, check=True
    )


def test_make_calls_that_one() -> None:
    assert "\nFORGE := bin/forge\n" in (REPOSITORY / "Makefile").read_text()
