from pathlib import Path

from importlinter.cli import lint_imports

CONFIG = Path(__file__).parents[2] / "pyproject.toml"


def test_imports_follow_the_layers_downwards_only() -> None:
    assert lint_imports(config_filename=str(CONFIG), no_cache=True) == 0
