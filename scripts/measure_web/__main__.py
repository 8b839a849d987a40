"""`make measure-web`: how heavy the built app is, how quick, and how smooth while a market is very busy.

Starts a devnet with bots, loads the app in Chromium, and prints one line `web: ...`: what the first page's
scripts weigh, Lighthouse's figures where it is installed, what a slow phone shows when, and frames a second
at 1,500 messages.

    python -m scripts.measure_web [--messages-per-s N] [--seconds S] [--url URL]
"""

import argparse
import gzip
import itertools
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Playwright, Response, sync_playwright
from scripts.measure_web.feed import MARKET
from tests.browser.chromium import find_chromium

from exchange.testing_devnet.process import DevnetProcess

REPOSITORY = Path(__file__).parents[2]
BUILD = REPOSITORY / "build" / "measure-web"
LIGHTHOUSE = REPOSITORY / "web" / "node_modules" / "lighthouse" / "cli" / "index.js"
WARM_UP_S = 40.0
"""Until the bots have made a market and a chart."""
DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
SLOW_NETWORK = {"offline": False, "latency": 150, "downloadThroughput": 204_800, "uploadThroughput": 93_750}
"""Slow 4G: 150 ms there and back, 1.6 Mbit/s (bytes a second), as Lighthouse's phone has it."""
SLOW_CPU = 4
VISITS = 5
SHOWN_WITHIN_MS = 30_000

_NO_TOUR = "localStorage.setItem('tour', 'done');"
_COUNT_MESSAGES = """
window.messages = 0;
window.WebSocket = class extends WebSocket {
  constructor(...how) {
    super(...how);
    this.addEventListener("message", () => { window.messages += 1; });
  }
};
"""
_NOTE_WHAT_IS_SHOWN = """
window.shownMs = {};
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.shownMs.largest = entry.startTime;
}).observe({ type: "largest-contentful-paint", buffered: true });
function look() {
  const shown = {
    frame: document.querySelector(".header") !== null,
    price: /[0-9]/.test(document.querySelector(".last-price")?.textContent ?? ""),
    chart: document.querySelector(".chart-stage[aria-busy=false]") !== null,
  };
  for (const name in shown) if (shown[name]) window.shownMs[name] ??= performance.now();
  requestAnimationFrame(look);
}
requestAnimationFrame(look);
"""
_COUNT_FRAMES = """
(seconds) => new Promise((done) => {
  const stamps = [];
  const begun = performance.now();
  function frame(now) {
    stamps.push(now);
    if (now - begun < seconds * 1000) requestAnimationFrame(frame);
    else done(stamps);
  }
  requestAnimationFrame(frame);
})
"""


@dataclass(frozen=True, slots=True)
class Frames:
    """What the page drew while it got so many messages a second.

    Frames a second, the share of those that took more than 25 ms, and the longest in ms.
    """

    messages_per_s: float
    per_s: float
    late_share: float
    longest_ms: float


def main() -> int:
    """Measures, and prints."""
    arguments = _arguments()
    BUILD.mkdir(parents=True, exist_ok=True)
    with _exchange(arguments.url) as url, sync_playwright() as playwright:
        _tell(f"first page {_script_bytes(playwright, url) / 1000:.0f} kB of script (gzip)")
        for preset in ("desktop", "mobile"):
            _tell(_lighthouse(playwright, url, preset))
        _tell(_slow_phone(playwright, url))
        idle = _frames(playwright, url, arguments.seconds)
        with _busy(url, arguments.messages_per_s) as busy_url:
            busy = _frames(playwright, busy_url, arguments.seconds)
    _tell(
        f"{busy.per_s:.0f} fps at {busy.messages_per_s:.0f} messages/s"
        f" (longest frame {busy.longest_ms:.0f} ms, {busy.late_share:.1%} late;"
        f" {idle.per_s:.0f} fps with the bots alone)"
    )
    return 0


def _tell(measured: str) -> None:
    """At once: what comes later may fail."""
    print(f"web: {measured}", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages-per-s", type=int, default=1_500)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--url", help="of an exchange that runs; without it a devnet is started")
    return parser.parse_args()


@contextmanager
def _exchange(url: str | None) -> Iterator[str]:
    if url is not None:
        yield url
        return
    process = DevnetProcess(
        Path(tempfile.mkdtemp(prefix="exchange-")), BUILD / "devnet.log", arguments=("--bots",)
    )
    try:
        process.start()
        time.sleep(WARM_UP_S)
        yield process.url
    finally:
        process.stop()
        process.remove()


@contextmanager
def _busy(url: str, per_s: int) -> Iterator[str]:
    """The same exchange with a market that is very busy."""
    port = _free_port()
    command = [sys.executable, "-m", "scripts.measure_web.feed", url, str(port), str(per_s)]
    feed = subprocess.Popen(command, cwd=REPOSITORY)
    try:
        _wait_for(port)
        yield f"http://localhost:{port}"
    finally:
        feed.terminate()
        feed.wait(10)


@contextmanager
def _browser(playwright: Playwright, *arguments: str) -> Iterator[Browser]:
    browser = playwright.chromium.launch(executable_path=find_chromium(), args=list(arguments))
    try:
        yield browser
    finally:
        browser.close()


def _script_bytes(playwright: Playwright, url: str) -> int:
    """Of all scripts that the first page loads until it is quiet, compressed as gzip does."""
    with _browser(playwright) as browser:
        page = browser.new_page(viewport=DESKTOP)
        scripts: list[Response] = []
        page.on("response", lambda answer: scripts.append(answer) if _is_script(answer) else None)
        page.goto(url)
        page.get_by_role("main").wait_for()
        page.wait_for_timeout(3_000)
        return sum(len(gzip.compress(script.body(), 9)) for script in scripts)


def _is_script(answer: Response) -> bool:
    return answer.request.resource_type == "script"


def _lighthouse(playwright: Playwright, url: str, preset: str) -> str:
    if not LIGHTHOUSE.exists():
        return f"lighthouse ({preset}): not installed"
    port = _free_port()
    path = BUILD / f"lighthouse-{preset}.json"
    with _browser(playwright, f"--remote-debugging-port={port}"):
        command = ["node", str(LIGHTHOUSE), url, f"--port={port}", "--output=json", f"--output-path={path}"]
        command += ["--only-categories=performance,accessibility", "--quiet", "--no-enable-error-reporting"]
        command += ["--preset=desktop"] if preset == "desktop" else []
        subprocess.run(command, check=True, timeout=240, env=os.environ | {"CHROME_PATH": find_chromium()})
    report: dict[str, Any] = json.loads(path.read_text())
    scores = {name: round(100 * (part["score"] or 0)) for name, part in report["categories"].items()}
    lcp_s = report["audits"]["largest-contentful-paint"]["numericValue"] / 1000
    shift = report["audits"]["cumulative-layout-shift"]["numericValue"]
    return (
        f"lighthouse ({preset}) performance {scores['performance']}, accessibility {scores['accessibility']},"
        f" LCP {lcp_s:.2f} s, layout shift {shift:.3f}"
    )


def _slow_phone(playwright: Playwright, url: str) -> str:
    """Clocked and not simulated: the medians of some first visits."""
    visits = [_slow_visit(playwright, url) for _ in range(VISITS)]
    middle = {name: statistics.median(visit[name] for visit in visits) / 1000 for name in visits[0]}
    return (
        f"slow phone: frame at {middle['frame']:.2f} s, price {middle['price']:.2f} s,"
        f" chart {middle['chart']:.2f} s (LCP {middle['largest']:.2f} s)"
    )


def _slow_visit(playwright: Playwright, url: str) -> dict[str, float]:
    """When what is shown, in ms from the beginning."""
    with _browser(playwright) as browser:
        page = browser.new_context(viewport=PHONE, is_mobile=True, has_touch=True).new_page()
        page.add_init_script(_NO_TOUR)
        page.add_init_script(_NOTE_WHAT_IS_SHOWN)
        devtools = page.context.new_cdp_session(page)
        devtools.send("Network.emulateNetworkConditions", SLOW_NETWORK)
        devtools.send("Emulation.setCPUThrottlingRate", {"rate": SLOW_CPU})
        page.goto(url)
        shown: dict[str, float] = {}
        while not shown.keys() >= {"frame", "price", "chart", "largest"}:
            assert shown.get("now", 0) < SHOWN_WITHIN_MS, shown
            page.wait_for_timeout(250)
            shown = page.evaluate("({ ...window.shownMs, now: performance.now() })")
        return shown


def _frames(playwright: Playwright, url: str, seconds: float) -> Frames:
    with _browser(playwright) as browser:
        page = browser.new_page(viewport=DESKTOP)
        page.add_init_script(_NO_TOUR)
        page.add_init_script(_COUNT_MESSAGES)
        page.goto(f"{url.rstrip('/')}/trade/{MARKET}")
        page.get_by_role("main").wait_for()
        page.wait_for_timeout(5_000)
        before = page.evaluate("window.messages")
        stamps: list[float] = page.evaluate(_COUNT_FRAMES, seconds)
        messages = page.evaluate("window.messages") - before
        page.screenshot(path=BUILD / "busy.png")
    gaps = [after - before for before, after in itertools.pairwise(stamps)]
    late = sum(gap > 25 for gap in gaps) / len(gaps)
    lasted_s = (stamps[-1] - stamps[0]) / 1_000
    return Frames(messages / lasted_s, len(gaps) / lasted_s, late, max(gaps))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int) -> None:
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"nobody listens on port {port}")


if __name__ == "__main__":
    if shutil.which("node") is None:
        sys.exit("Node.js is needed")
    sys.exit(main())
