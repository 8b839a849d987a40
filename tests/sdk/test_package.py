"""The package as it is published: built without a network, used where there is nothing of the exchange."""

import email.parser
import shutil
import site
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

import exchange_sdk

ROOT = Path(__file__).parents[2]
PROJECT = ROOT / "sdk" / "python"
SOURCES = PROJECT / "src" / "exchange_sdk"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the wheel and the source distribution, built of a copy."""
    folder = tmp_path_factory.mktemp("package")
    copy = folder / "python"
    shutil.copytree(PROJECT, copy, ignore=shutil.ignore_patterns("__pycache__", "dist"))
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(copy)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def wheel_of(folder: Path) -> Path:
    return folder / f"exchange_sdk-{exchange_sdk.__version__}-py3-none-any.whl"


def test_the_wheel_has_the_package_and_nothing_else(built: Path) -> None:
    with zipfile.ZipFile(wheel_of(built)) as wheel:
        names = set(wheel.namelist())
        info = f"exchange_sdk-{exchange_sdk.__version__}.dist-info"
        metadata = email.parser.Parser().parsestr(wheel.read(f"{info}/METADATA").decode())
        licence = wheel.read(f"{info}/licenses/LICENSE").decode()
    modules = {f"exchange_sdk/{path.relative_to(SOURCES).as_posix()}" for path in SOURCES.rglob("*.py")}
    about = {f"{info}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "licenses/LICENSE")}
    assert names == modules | about | {"exchange_sdk/py.typed"}
    assert metadata["Name"] == "exchange-sdk"
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "MIT"
    assert metadata.get_payload().startswith("# exchange-sdk")  # type: ignore[union-attr]
    needed = {line.split(">")[0].split("<")[0] for line in metadata.get_all("Requires-Dist", [])}
    assert needed == {"eth-account", "httpx", "msgspec", "pynacl", "websockets", "web3"}
    assert licence == (ROOT / "LICENSE").read_text()


def test_the_source_distribution_has_the_documentation_too(built: Path) -> None:
    with tarfile.open(built / f"exchange_sdk-{exchange_sdk.__version__}.tar.gz") as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    pages = {f"docs/{path.name}" for path in (PROJECT / "docs").glob("*.md")}
    assert pages
    assert names >= pages | {"README.md", "LICENSE", "pyproject.toml", "src/exchange_sdk/client.py"}
    assert not any("test" in name for name in names)


def test_the_wheel_works_where_there_is_nothing_of_the_exchange(built: Path, tmp_path: Path) -> None:
    """In an environment of its own, to which the packages that it depends on are lent."""
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv" / "bin" / "python"
    (packages,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    with zipfile.ZipFile(wheel_of(built)) as wheel:
        wheel.extractall(packages)
    (packages / "lent.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    script = f"""
import importlib.util, pathlib
assert importlib.util.find_spec("exchange") is None
import exchange_sdk
assert pathlib.Path(exchange_sdk.__file__).is_relative_to({str(packages)!r})
assert exchange_sdk.__version__ == {exchange_sdk.__version__!r}
key = exchange_sdk.AgentKey.generate("secp256k1")
exchange_sdk.SyncExchange("http://127.0.0.1:1", key=key, wallet=exchange_sdk.Wallet.generate()).close()
"""
    subprocess.run([python, "-c", script], check=True, timeout=60, cwd=tmp_path)
