"""axe-core, as it is in web/node_modules, run in a page against WCAG 2.2 AA."""

import json
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

_AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
_RULES = {
    "runOnly": {
        "type": "tag",
        "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    }
}


def violations(page: Page) -> list[str]:
    """One line for each element at fault. The context must bypass content policies, for axe's sake."""
    if not page.evaluate("typeof window.axe === 'object'"):
        page.evaluate(_AXE.read_text())
    found: dict[str, Any] = page.evaluate(f"axe.run(document, {json.dumps(_RULES)})")
    return [
        f"{broken['impact']}: {broken['id']}: {node['target'][0]}: {_first_line(node['failureSummary'])}"
        for broken in found["violations"]
        for node in broken["nodes"]
    ]


def _first_line(summary: str) -> str:
    """What is wrong, without the heading over it."""
    lines = [line.strip() for line in summary.splitlines() if line.strip()]
    return lines[1] if len(lines) > 1 else summary
