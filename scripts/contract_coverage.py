"""Reads forge's coverage report and fails unless every line and branch of contracts/src was run by the tests.

Usage: contract_coverage.py build/coverage/lcov.info. The last line reads `coverage: lines=… branches=…`.
Source of the format: geninfo's manual page (SF, DA, BRDA and end_of_record lines).
"""

import sys
from pathlib import Path

SOURCES = "contracts/src/"


def main(report: Path) -> int:
    """0 when everything was run. Names each line and branch that was not."""
    lines_run: list[bool] = []
    branches_run: list[bool] = []
    source = ""
    for record in report.read_text(encoding="utf-8").splitlines():
        kind, _, content = record.partition(":")
        fields = content.split(",")
        if kind == "SF":
            source = content
        elif not source.startswith(SOURCES):
            continue
        elif kind == "DA":  # line, times
            lines_run.append(fields[1] != "0")
            if not lines_run[-1]:
                print(f"{source}:{fields[0]}: not run")
        elif kind == "BRDA":  # line, block, branch, times or "-"
            branches_run.append(fields[3] not in ("0", "-"))
            if not branches_run[-1]:
                print(f"{source}:{fields[0]}: branch {fields[2]} not taken")
    print(f"coverage: lines={_share(lines_run)} branches={_share(branches_run)}")
    return 0 if lines_run and branches_run and all(lines_run) and all(branches_run) else 1


def _share(run: list[bool]) -> str:
    return f"{sum(run)}/{len(run)}"


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
