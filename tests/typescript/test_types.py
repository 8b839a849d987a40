"""The TypeScript types of the API are those of its OpenAPI document, and a program can use them."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
TYPES = ROOT / "sdk" / "typescript" / "exchange.d.ts"
README = ROOT / "sdk" / "typescript" / "README.md"


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=100)  # noqa: PLW1510


def checked(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """What the TypeScript compiler says of a program beside the types."""
    (folder / "exchange.d.ts").write_text(TYPES.read_text())
    (folder / "program.ts").write_text(program)
    compiler = ROOT / "node_modules" / ".bin" / "tsc"
    return run(
        compiler, "--noEmit", "--strict", "--skipLibCheck", "--target", "es2022", folder / "program.ts"
    )


def readme_program() -> str:
    found = re.search(r"```ts\n(.*?)```", README.read_text(), re.DOTALL)
    assert found is not None
    return found.group(1)


def test_types_are_what_the_document_makes(tmp_path: Path) -> None:
    made = tmp_path / "exchange.d.ts"
    generator = ROOT / "node_modules" / ".bin" / "openapi-typescript"
    run(generator, ROOT / "docs" / "api" / "openapi.json", "--output", made).check_returncode()
    assert TYPES.read_text() == made.read_text(), "run `make openapi`"


def test_program_of_the_readme_compiles(tmp_path: Path) -> None:
    program = readme_program() + "export const price = (order: Order): string | null => order.price;\n"
    answer = checked(program, tmp_path)
    assert answer.returncode == 0, answer.stdout


def test_program_that_takes_a_price_for_a_number_does_not_compile(tmp_path: Path) -> None:
    program = readme_program() + "export const price = (order: Order): number => order.price;\n"
    answer = checked(program, tmp_path)
    assert answer.returncode != 0
    assert "not assignable to type 'number'" in answer.stdout
