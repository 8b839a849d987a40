"""What must not be: a reader that missed something, or a book that was rebuilt wrongly."""

import json
import urllib.request

from scripts.bench.feeds.subscribers import Figures

BOOK_DEPTH = 500
REQUEST_TIMEOUT_S = 30.0


def book_faults(port: int, market: str, seen: Figures) -> list[str]:
    """What is wrong about the rebuilt book beside that of REST, while nothing changes."""
    url = f"http://127.0.0.1:{port}/v1/markets/{market}/book?depth={BOOK_DEPTH}"
    with urllib.request.urlopen(url, timeout=REQUEST_TIMEOUT_S) as response:
        book = json.load(response)
    for side, ours in (("bids", seen.bids), ("asks", seen.asks)):
        theirs = [(price, size) for price, size in book[side]]
        if not theirs or theirs != ours:
            return [f"{side} rebuilt from updates are not those of REST at seq {book['seq']}"]
    return []


def faults_of(seen: Figures) -> list[str]:
    """What must not be. Each different one once, and few of them."""
    faults = list(dict.fromkeys(seen.wrong_books))[:5]
    if seen.gaps:
        faults.append(f"{seen.gaps:,} gaps")
    if seen.unfit:
        faults.append(f"{seen.unfit:,} updates did not go on from where their reader stood")
    if seen.lowest_seq != seen.highest_seq:
        faults.append(f"readers ended between seq {seen.lowest_seq:,} and {seen.highest_seq:,}")
    return faults
