"""The gate on the coverage of the contracts: it closes for one line, one branch, and a report of nothing."""

from pathlib import Path

import pytest
from scripts.contract_coverage import main

COMPLETE = """\
TN:
SF:contracts/src/Vault.sol
DA:10,3
FNDA:3,Vault.claim
BRDA:10,0,0,2
BRDA:10,0,1,1
end_of_record
SF:contracts/test/VaultHandler.sol
DA:20,0
BRDA:20,0,0,-
end_of_record
"""


@pytest.fixture
def check(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    def run(report: str) -> tuple[int, str]:
        path = tmp_path / "lcov.info"
        path.write_text(report)
        return main(path), capsys.readouterr().out

    return run


def test_a_report_in_which_every_line_and_branch_of_the_sources_was_run_passes(check):
    assert check(COMPLETE) == (0, "coverage: lines=1/1 branches=2/2\n")


def test_one_line_that_was_not_run_fails_and_is_named(check):
    code, text = check(COMPLETE.replace("DA:10,3", "DA:10,3\nDA:11,0"))
    assert code == 1
    assert "contracts/src/Vault.sol:11: not run\n" in text
    assert text.endswith("coverage: lines=1/2 branches=2/2\n")


@pytest.mark.parametrize("times", ["0", "-"])
def test_one_branch_that_was_not_taken_fails_and_is_named(check, times):
    code, text = check(COMPLETE.replace("BRDA:10,0,1,1", f"BRDA:10,0,1,{times}"))
    assert code == 1
    assert "contracts/src/Vault.sol:10: branch 1 not taken\n" in text


@pytest.mark.parametrize("report", ["", COMPLETE.replace("contracts/src", "elsewhere")])
def test_a_report_without_the_sources_fails(check, report):
    assert check(report) == (1, "coverage: lines=0/0 branches=0/0\n")
