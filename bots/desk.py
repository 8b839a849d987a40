"""How a bot gets to trade: its owner's wallet approves a key once, and the key does the rest.

The wallet is used for three things only: it signs in, it signs the approval, and it deposits what the account
lacks. The key that it approves can trade and read, and never move anything out. The key is kept in a file, so
the next start needs the wallet only if the key has ended, or if there is something to deposit.

A deposit is noted beside the key before it is sent, until it is credited. So a bot that is killed meanwhile
waits for it at its next start, and does not deposit once more.
"""

import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from exchange_sdk import AgentKey, Exchange, Wallet
from exchange_sdk.errors import NotAuthenticated

if TYPE_CHECKING:
    from exchange_sdk.chain import DepositProgress

KEY_LIFE = timedelta(days=90)
RENEW_BEFORE_MS = 86_400_000
"""A key that ends within a day is replaced at the start."""
WALLET_VARIABLE = "EXCHANGE_BOT_WALLET"
_LOW = Decimal("0.5")
"""The account is filled up when it has less than this share of what it shall have."""

log = logging.getLogger(__name__)


class CannotTrade(Exception):
    """The bot has no way to trade; the message says what it lacks."""


@dataclass(frozen=True)
class DeskOptions:
    """Where and as whom a bot trades."""

    url: str
    name: str
    key_file: Path
    rpc_url: str | None = None
    """JSON-RPC of the chain, where there is something to deposit."""
    fund: Mapping[str, Decimal] = field(default_factory=dict)
    """What the account shall have of each asset, at the start."""
    keystore: Path | None = None
    password_file: Path | None = None


async def trading_key(options: DeskOptions) -> AgentKey:
    """A key that may trade, from the file if that one still may; the account has its funds.

    Raises CannotTrade, ExchangeError.
    """
    wallet = wallet_of(options, os.environ)
    key = await _kept_key(options, wallet)
    if key is not None:
        async with Exchange(options.url, key=key) as exchange:
            if wallet is None or not await _lacking(exchange, options.fund):
                return key
    if wallet is None:
        raise CannotTrade(
            f"{options.key_file} has no key that may trade, and there is no wallet to approve one with: "
            f"give --keystore and --password-file, or {WALLET_VARIABLE}"
        )
    async with Exchange(options.url, wallet=wallet) as owner:
        await _fund(owner, options)
        return key or await _approved(owner, options)


def wallet_of(options: DeskOptions, environment: Mapping[str, str]) -> Wallet | None:
    """The owner's wallet, if it is there. Raises CannotTrade when it can not be opened."""
    try:
        if options.keystore is not None:
            if options.password_file is None:
                raise CannotTrade("--keystore needs --password-file")
            password = options.password_file.read_text("utf-8").rstrip("\r\n")
            return Wallet.from_keystore(options.keystore, password)
        secret = environment.get(WALLET_VARIABLE)
        return Wallet.from_key(secret) if secret else None
    except (OSError, ValueError) as error:
        raise CannotTrade(f"the wallet can not be opened: {error}") from error


async def _kept_key(options: DeskOptions, wallet: Wallet | None) -> AgentKey | None:
    """The key of the file, if the exchange lets it trade for this wallet for another day."""
    try:
        key = AgentKey.load(options.key_file)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise CannotTrade(f"{options.key_file}: {error}") from error
    async with Exchange(options.url, key=key) as exchange:
        try:
            known = await exchange.whoami()
        except NotAuthenticated as refused:
            log.info("the kept key may not trade any more: %s", refused.code)
            return None
        if wallet is not None and known.address.lower() != wallet.address.lower():
            raise CannotTrade(f"{options.key_file} is of {known.address}, not of {wallet.address}")
        if known.expires_at_ms - exchange.clock.now_ms() < RENEW_BEFORE_MS:
            log.info("the kept key ends within a day")
            return None
    return key


async def _approved(owner: Exchange, options: DeskOptions) -> AgentKey:
    """A new key that the owner has approved, kept in the file in place of the one before."""
    key, new = AgentKey.generate(), options.key_file.with_name(options.key_file.name + ".new")
    new.parent.mkdir(parents=True, exist_ok=True)
    new.unlink(missing_ok=True)
    key.save(new)  # first: no key is approved that can not be kept
    agent = await owner.approve(key, f"{options.name} bot", expires=KEY_LIFE)
    new.replace(options.key_file)
    log.info("approved %s for %s", key.id, ", ".join(agent.scopes))
    return key


async def _lacking(exchange: Exchange, fund: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """How much of each asset is to be deposited."""
    if not fund:
        return {}
    balances = await exchange.balances()
    totals = {asset: balances[asset].total if asset in balances else Decimal(0) for asset in fund}
    return {asset: wanted - totals[asset] for asset, wanted in fund.items() if totals[asset] < wanted * _LOW}


async def _fund(owner: Exchange, options: DeskOptions) -> None:
    """Deposits what is lacking, and waits until it is credited. Raises CannotTrade, ExchangeError."""
    lacking = await _lacking(owner, options.fund)
    if not lacking:
        return
    unlisted = lacking.keys() - (await owner.assets()).keys()
    if unlisted:
        raise CannotTrade(f"--fund: there is no asset {min(unlisted)} at {owner.url}")
    if options.rpc_url is None:
        said = ", ".join(f"{amount} {asset}" for asset, amount in lacking.items())
        raise CannotTrade(f"the account lacks {said}: give --rpc-url to deposit, or leave out --fund")
    noted = NotedDeposits(options.key_file.with_suffix(".deposits.json"))
    under_way = await _still_under_way(owner, options.rpc_url, noted.hashes)
    if under_way:
        log.info("waiting for what was deposited before this start")
        for tx_hash in under_way:
            await owner.wait_for_deposit(tx_hash)
        lacking = await _lacking(owner, options.fund)
    noted.keep([])
    sent: list[str] = []

    def note(progress: "DepositProgress") -> None:
        if progress.stage == "signed":  # and not sent yet
            noted.keep([*sent, progress.tx_hash])

    for asset, amount in lacking.items():
        log.info("depositing %s %s", amount, asset)
        try:
            deposit = await owner.send_deposit(asset, amount, rpc_url=options.rpc_url, on_progress=note)
        except ValueError as error:  # finer than the asset is
            raise CannotTrade(f"--fund {asset}: {error}") from error
        sent.append(deposit.tx_hash)
    for tx_hash in sent:  # their confirmations come together
        await owner.wait_for_deposit(tx_hash)
    noted.keep([])
    log.info("credited")


class NotedDeposits:
    """The hashes of transactions that were signed, and not credited yet when this was last written."""

    def __init__(self, path: Path) -> None:
        """Raises CannotTrade for a file that is none of this kind."""
        self._path = path
        self.hashes: list[str] = []
        try:
            self.hashes = [str(tx_hash) for tx_hash in json.loads(path.read_text("utf-8"))["tx_hashes"]]
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CannotTrade(
                f"{path} is not what it should be ({error!r}): see whether a deposit is on its way, then "
                "remove it"
            ) from error

    def keep(self, hashes: Sequence[str]) -> None:
        """These, and no others, also when this process is killed in the middle."""
        self.hashes = list(hashes)
        if not self.hashes:
            self._path.unlink(missing_ok=True)
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps({"tx_hashes": self.hashes}) + "\n", "utf-8")
        new.replace(self._path)


async def _still_under_way(owner: Exchange, rpc_url: str, hashes: Sequence[str]) -> list[str]:
    """Of noted deposits those that will count, as the chain's node says: in a block, or waiting for one.

    One that the node does not know was never sent; what is signed next takes its nonce, so that at most one
    of both happens.
    """
    if not hashes:
        return []
    from exchange_sdk.chain_wallet import ChainWallet  # noqa: PLC0415 - takes a second to import

    assert owner.wallet is not None
    found: list[str] = []
    async with ChainWallet(rpc_url, owner.wallet.account, (await owner.deployment()).chain_id) as chain:
        for tx_hash in hashes:
            receipt = await chain.receipt(tx_hash)
            counts = await chain.is_known(tx_hash) if receipt is None else receipt["status"] == 1
            if counts:
                found.append(tx_hash)
    return found
