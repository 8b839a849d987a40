"""The package that logins need: imported once, by whichever thread comes first, or not at all."""

import sys
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pytest
from structlog.testing import capture_logs

from exchange.gateway.siwe_package import LoginUnavailable, SiwePackage

WAIT_S = 30
NAME = "package_of_a_test"


class Gate:
    """Stands in the module of the package: an import waits in it, and is counted."""

    def __init__(self) -> None:
        self.imports = 0
        self.reached = threading.Event()
        self.open = threading.Event()

    def come_in(self) -> None:
        self.imports += 1
        self.reached.set()
        assert self.open.wait(WAIT_S)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    module = ModuleType("gate_of_a_test")
    gate = module.gate = Gate()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return gate


@pytest.fixture
def package(gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], SiwePackage]:
    """Makes a package whose import comes to the gate and then does something."""

    def make(then: str) -> SiwePackage:
        (tmp_path / f"{NAME}.py").write_text(
            f"import gate_of_a_test\ngate_of_a_test.gate.come_in()\n{then}\n"
        )
        return SiwePackage(NAME)

    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, NAME, raising=False)
    return make


def ignored() -> list[object]:
    """The filters that keep every warning quiet."""
    return [
        entry for entry in warnings.filters if entry[0] == "ignore" and entry[1] is None and entry[3] is None
    ]


def test_of_many_threads_at_once_one_imports_and_no_warning_is_silenced_for_good(
    gate: Gate, package: Callable[[str], SiwePackage]
) -> None:
    loading = package("")
    before = ignored()
    with ThreadPoolExecutor(8) as threads:
        loads = [threads.submit(loading.load) for _ in range(8)]
        assert gate.reached.wait(WAIT_S)
        with warnings.catch_warnings():  # of somebody else, who comes in the middle of it
            gate.open.set()
            modules = {load.result(WAIT_S) for load in loads}
    assert len(modules) == 1
    assert gate.imports == 1
    assert ignored() == before


async def test_once_it_is_there_nobody_waits_for_a_thread(
    gate: Gate, package: Callable[[str], SiwePackage]
) -> None:
    gate.open.set()
    loading = package("answer = 42")
    module = await loading.get()
    assert module.answer == 42
    with pytest.raises(StopIteration) as given:
        loading.get().send(None)
    assert given.value.value is module


@pytest.mark.parametrize("then", ["import no_such_package", "raise AttributeError('grammar')", "1 + '1'"])
async def test_a_package_that_can_not_be_imported_is_told_once_and_not_tried_again(
    gate: Gate, package: Callable[[str], SiwePackage], then: str
) -> None:
    gate.open.set()
    loading = package(then)
    assert loading.fault is None
    with capture_logs() as logged:
        for _ in range(3):
            with pytest.raises(LoginUnavailable) as caught:
                await loading.get()
    assert caught.value.cause is loading.fault
    assert gate.imports == 1
    assert [(entry["event"], entry["log_level"]) for entry in logged] == [("login_unavailable", "error")]
