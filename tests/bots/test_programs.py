import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from bots.desk import WALLET_VARIABLE, CannotTrade, DeskOptions, NotedDeposits, wallet_of
from bots.feeds import FeedInvalid, FileFeed
from bots.options import parser
from bots.programs import base_at_first, maker_references
from bots.quoter import shared_funds
from bots.quoting import Funds
from bots.references import Recording
from bots.repeated import Repeated
from eth_account import Account
from tests.bots.markets import market

from exchange_sdk import Wallet

DEVNET_MARKETS = [("ETH-USDC", Decimal(3000)), ("WBTC-USDC", Decimal(60_000)), ("WBTC-ETH", None)]


def test_a_market_without_a_price_is_crossed_from_two_that_have_one() -> None:
    references = maker_references(DEVNET_MARKETS, seed=1, step_bps=Decimal(5), recording=None)
    for second in range(0, 100_000, 10_000):
        eth, wbtc, cross = (references[symbol].price(second) for symbol, _ in DEVNET_MARKETS)
        assert eth is not None
        assert wbtc is not None
        assert cross == wbtc / eth
    assert eth != 3000


def test_a_market_that_can_not_be_crossed_needs_a_price() -> None:
    with pytest.raises(CannotTrade, match="WBTC-ETH=PRICE"):
        maker_references(DEVNET_MARKETS[1:], seed=1, step_bps=Decimal(5), recording=None)


def test_a_recording_is_of_the_first_market() -> None:
    recording = Recording([(0, Decimal(7)), (1, Decimal(8))], stale_ms=1)
    references = maker_references(DEVNET_MARKETS, seed=1, step_bps=Decimal(5), recording=recording)
    assert references["ETH-USDC"] is recording


def test_what_the_account_had_at_first_is_kept_for_later_starts(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "bot.lmsr.json"
    assert base_at_first(path, None, held=Decimal(50)) == 50
    assert base_at_first(path, None, held=Decimal(47)) == 50
    assert base_at_first(path, Decimal(40), held=Decimal(47)) == 40
    assert base_at_first(path, None, held=Decimal(47)) == 40
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    "content",
    ["{}", "", '{"base_at_first": "abc"}', '{"base_at_first": "NaN"}', '{"base_at_first": []}', "[]"],
)
def test_what_was_kept_of_it_and_makes_no_sense_is_told_in_a_line(tmp_path: Path, content: str) -> None:
    path = tmp_path / "bot.lmsr.json"
    path.write_text(content)
    with pytest.raises(CannotTrade, match="begin anew"):
        base_at_first(path, None, held=Decimal(47))


def test_what_was_kept_outlives_a_disk_that_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bot.lmsr.json"
    assert base_at_first(path, None, held=Decimal(50)) == 50
    real = Path.write_text

    def write_a_part(self: Path, text: str, *options: str) -> int:
        real(self, text[:5], *options)
        raise OSError("the disk is full")

    monkeypatch.setattr(Path, "write_text", write_a_part)
    with pytest.raises(OSError, match="full"):
        base_at_first(path, None, held=Decimal(47))
    monkeypatch.undo()
    assert base_at_first(path, None, held=Decimal(47)) == 50


def test_an_asset_of_several_markets_is_divided_among_them() -> None:
    eth, other = market(), market()
    totals = {"ETH": Decimal(10), "USDC": Decimal(100)}
    assert shared_funds(eth, [eth, other], totals.__getitem__) == Funds(Decimal(5), Decimal(50))
    assert shared_funds(eth, [eth], totals.__getitem__) == Funds(Decimal(10), Decimal(100))


def desk(tmp_path: Path, **options: Path) -> DeskOptions:
    return DeskOptions("http://localhost:1", "maker", tmp_path / "bot.key", **options)  # type: ignore[arg-type]


def test_a_wallet_is_in_the_environment_in_a_keystore_or_nowhere(tmp_path: Path) -> None:
    assert wallet_of(desk(tmp_path), {}) is None
    secret = "0x" + "11" * 32
    wallet = wallet_of(desk(tmp_path), {WALLET_VARIABLE: secret})
    assert wallet is not None
    assert wallet.address == "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"
    with pytest.raises(CannotTrade, match="can not be opened") as refused:
        wallet_of(desk(tmp_path), {WALLET_VARIABLE: "0x12345"})
    assert "12345" not in str(refused.value)
    with pytest.raises(CannotTrade, match="--password-file"):
        wallet_of(desk(tmp_path, keystore=tmp_path / "none"), {})


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"crypto": {}}', '{"crypto": 1}', '"text"', "null"])
def test_a_keystore_that_is_none_is_told_in_a_line(tmp_path: Path, content: str) -> None:
    keystore, password = tmp_path / "wallet.json", tmp_path / "password"
    keystore.write_text(content)
    password.write_text("secret")
    with pytest.raises(CannotTrade, match="can not be opened") as refused:
        wallet_of(desk(tmp_path, keystore=keystore, password_file=password), {})
    assert "secret" not in str(refused.value)


def test_a_password_is_all_of_its_line(tmp_path: Path) -> None:
    secret, password = bytes([0x11]) * 32, " with spaces "
    keystore, password_file = tmp_path / "wallet.json", tmp_path / "password"
    keystore.write_text(json.dumps(Account.encrypt(secret, password, kdf="pbkdf2", iterations=2)))
    password_file.write_text(password + "\n")
    wallet = wallet_of(desk(tmp_path, keystore=keystore, password_file=password_file), {})
    assert wallet is not None
    assert wallet.address == Wallet.from_key(secret).address


def test_deposits_are_noted_until_they_are_credited(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "bot.deposits.json"
    noted = NotedDeposits(path)
    assert noted.hashes == []
    noted.keep(["0x01"])
    noted.keep(["0x01", "0x02"])
    assert NotedDeposits(path).hashes == ["0x01", "0x02"]
    noted.keep([])
    assert NotedDeposits(path).hashes == []
    assert list(path.parent.iterdir()) == []
    path.write_text("[]")
    with pytest.raises(CannotTrade, match="a deposit is on its way"):
        NotedDeposits(path)


async def test_books_of_a_file_follow_each_other_and_grow_stale(tmp_path: Path) -> None:
    path = tmp_path / "books.jsonl"
    path.write_text(
        '{"at_ms": 500, "bids": [["10", "1"]], "asks": [["11", "2"]]}\n\n'
        '{"at_ms": 1500, "bids": [["10.5", "1"]], "asks": []}\n'
    )
    async with FileFeed(path, stale_ms=3_000) as feed:
        first = feed.latest(0)
        assert first is not None
        assert (first.bids[0].price, first.asks[0].size) == (10, 2)
        assert feed.latest(999) == first
        second = feed.latest(1_000)
        assert second is not None
        assert second.bids[0].price == Decimal("10.5")
        assert feed.latest(4_000) == second
        assert feed.latest(4_001) is None


@pytest.mark.parametrize(
    "content", ["", '{"at_ms": 1}', '{"at_ms": 1, "bids": [["x", "1"]], "asks": []}', "["]
)
async def test_a_file_that_has_no_books_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "books.jsonl"
    path.write_text(content)
    with pytest.raises(FeedInvalid):
        await FileFeed(path, stale_ms=1).__aenter__()


class Told:
    """A logger that keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def warning(self, template: str, *values: object) -> None:
        self.lines.append(template % values)

    def info(self, template: str) -> None:
        self.lines.append(template)


def test_a_trouble_is_told_once_a_minute_and_its_end_once() -> None:
    told, now_s = Told(), [0.0]
    troubles = Repeated(told, lambda: now_s[0])  # type: ignore[arg-type]
    for _ in range(3):
        troubles.note("no price")
        troubles.end_round()
    assert told.lines == ["no price"]
    now_s[0] = 61.0
    troubles.note("no price")
    troubles.note("no luck")
    troubles.end_round()
    assert told.lines[1:] == ["no price", "no luck"]
    troubles.end_round()
    troubles.end_round()
    assert told.lines[3:] == ["all is well again"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["maker", "--key-file=k"],
        ["maker", "--market=ETH-USDC=-1", "--key-file=k"],
        ["maker", "--market=ETH-USDC=1", "--key-file=k", "--fund=USDC"],
        ["maker", "--market=ETH-USDC=1", "--key-file=k", "--round=0"],
        ["maker", "--market=ETH-USDC=1e400000", "--key-file=k"],
        ["taker", "--market=ETH-USDC", "--key-file=k", "--per-s=1e-400"],
        ["maker", "--market=ETH-USDC=1", "--key-file=k", "--skew-bps=a"],
        ["maker", "--market=ETH-USDC=1", "--key-file=k", "--stale=NaN"],
        ["maker", "--market==3000", "--key-file=k"],
        ["maker", "--market=ETH-USDC=1", "--key-file=k", "--fund==5"],
        ["maker", "--market=ETH-USDC=1", "--key-file=k", "--recorded-speed=0"],
        ["taker", "--market=ETH-USDC", "--key-file=k", "--url=localhost:8000"],
        ["taker", "--market=ETH-USDC", "--key-file=k", "--url=http://localhost:nowhere"],
        ["record", "--market=ETH-USDC", "--count=0"],
        [
            "lmsr",
            "--market=A-B",
            "--floor=0",
            "--cap=2",
            "--first-price=1",
            "--depth=1",
            "--size=1",
            "--layers=0",
        ],
        ["mirror", "--market=ETH-USDC", "--key-file=k", "--from-url=exchange.example"],
        ["mirror", "--market=ETH-USDC", "--key-file=k"],
        ["mirror", "--market=ETH-USDC", "--key-file=k", "--from-url=u", "--from-file=f"],
        ["lmsr", "--market=ETH-USDC", "--key-file=k"],
        ["nobody"],
    ],
    ids=" ".join,
)
def test_wrong_arguments_are_refused_with_the_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refused:
        parser().parse_args(arguments)
    assert refused.value.code == 2
    assert "usage: python -m bots" in capsys.readouterr().err


@pytest.mark.parametrize("program", ["maker", "taker", "mirror", "lmsr", "record"])
def test_each_program_explains_its_options(program: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parser().parse_args([program, "--help"])
    assert ended.value.code == 0
    assert "--url" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argument", "told"),
    [
        ("--layers=0", "at least one layer is needed"),
        ("--layers=1000000000", "too many"),
        ("--fund=USDC=1,--fund=USDC=2", "an asset is given twice"),
    ],
)
def test_unreasonable_parameters_are_told_in_a_line(tmp_path: Path, argument: str, told: str) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "bots",
            "maker",
            "--market=ETH-USDC=1",
            f"--key-file={tmp_path}/k",
            *argument.split(","),
        ],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert told in done.stderr
    assert "Traceback" not in done.stderr
