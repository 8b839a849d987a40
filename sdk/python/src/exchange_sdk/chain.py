"""Deposits in one call: from the wallet into the exchange's vault, and until they are credited. Needs web3.

    pip install exchange-sdk[chain]

The chain's own coin goes by one transaction. A token too, where the vault may take it already or the token
knows permits (ERC-2612), which are signed and cost nothing; else it is approved first, for exactly the
amount.

A transaction that was sent is never made a second time. When it is not known what became of one, that is
raised, and says how to go on: DepositPending.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from eth_account.messages import encode_typed_data

from exchange_sdk.chain_wallet import CANNOT_TELL, ChainWallet, Signed
from exchange_sdk.errors import (
    ChainError,
    DepositPending,
    ExchangeError,
    NoCredential,
    RateLimited,
    ServerError,
    TransactionUnknown,
    Unavailable,
    Unreachable,
)
from exchange_sdk.history import Page
from exchange_sdk.models import Asset, Deployment, Deposit, Model
from exchange_sdk.numbers import Number, decimal, from_atoms, to_atoms
from exchange_sdk.progress import tell
from exchange_sdk.vault import NATIVE, TOKEN_ABI, VAULT_ABI, permit_domains
from exchange_sdk.wallet import Wallet
from exchange_sdk.web3_parts import DISCARD, Web3Exception

if TYPE_CHECKING:
    from exchange_sdk.client import Exchange

Stage = Literal["approving", "signed", "mined", "confirming", "credited"]

TIMEOUT_S = 600.0
LOOK_S = 0.5
CHECK_EVERY_S = 10.0
PERMIT_LIFE_S = 3_600
_HASH = re.compile(r"(?:0x)?([0-9a-fA-F]{64})", re.ASCII)
"""web3 writes them without 0x."""
_TRIED_AGAIN = (Unreachable, Unavailable, RateLimited, ServerError)


class DepositProgress(Model, frozen=True):
    """How far a deposit is.

    `approving` the token; the deposit is `signed`, and sent next; `mined`; `confirming`, told anew with
    each block; `credited`.
    """

    stage: Stage
    tx_hash: str
    confirmations: int = 0
    required_confirmations: int | None = None
    deposit: Deposit | None = None


class DepositSent(Model, frozen=True):
    """A deposit that is in a block, and not credited yet."""

    asset: str
    tx_hash: str
    number: str
    """The vault's."""


OnProgress = Callable[[DepositProgress], Awaitable[None] | None]


async def deposit(
    exchange: "Exchange",
    asset: str,
    amount: Number,
    *,
    rpc_url: str,
    account: str | None = None,
    on_progress: OnProgress | None = None,
    timeout_s: float = TIMEOUT_S,
    wait: bool = True,
) -> Deposit | DepositSent:
    """See `Exchange.deposit`."""
    wallet = exchange.wallet
    if wallet is None:
        raise NoCredential("a deposit needs the owner's wallet: Exchange(url, wallet=...)")
    owner = account or wallet.address
    if wait and owner.lower() != wallet.address.lower():
        raise ValueError("a deposit for another account can not be followed from here: wait=False")
    deployment = await exchange.deployment()
    listed = await exchange.asset(asset)
    atoms = to_atoms(amount, listed.decimals, "amount")
    if atoms <= 0:
        raise ValueError(f"amount must be above zero, not {decimal(amount)}")
    until_s = asyncio.get_running_loop().time() + timeout_s
    async with ChainWallet(rpc_url, wallet.account, deployment.chain_id) as chain:
        maker = _DepositMaker(chain, wallet, deployment, listed, atoms, owner, on_progress, until_s)
        sent, signed = await maker.send()
        if not wait:
            return sent
        try:
            return await _credited(exchange, sent.tx_hash, until_s, on_progress, chain, signed)
        except DepositPending:
            raise
        except ExchangeError as error:  # it was sent, so this is not how it ended
            raise DepositPending(f"the deposit can not be followed: {error}", sent.tx_hash) from error


async def wait_for_deposit(
    exchange: "Exchange",
    sent: "DepositSent | DepositPending | str",
    *,
    on_progress: OnProgress | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Deposit:
    """See `Exchange.wait_for_deposit`."""
    tx_hash = checked_hash(sent if isinstance(sent, str) else sent.tx_hash)
    until_s = asyncio.get_running_loop().time() + timeout_s
    return await _credited(exchange, tx_hash, until_s, on_progress)


async def claim(exchange: "Exchange", asset: str, *, rpc_url: str, destination: str | None = None) -> Decimal:
    """See `Exchange.claim`."""
    wallet = exchange.wallet
    if wallet is None:
        raise NoCredential("a claim needs the owner's wallet: Exchange(url, wallet=...)")
    deployment = await exchange.deployment()
    listed = await exchange.asset(asset)
    async with ChainWallet(rpc_url, wallet.account, deployment.chain_id) as chain:
        vault = chain.contract(deployment.vault, VAULT_ABI)
        token, target = (
            chain.contract(address, []).address for address in (listed.token, destination or wallet.address)
        )
        claimable = vault.functions.claimable(wallet.address, token).call
        atoms = await chain.read(claimable, "the vault can not be asked")
        if atoms:
            await chain.transact(vault.functions.claim(token, target), f"claim of {asset}")
        return from_atoms(atoms, listed.decimals)


class _DepositMaker:
    """Makes one deposit."""

    def __init__(
        self,
        chain: ChainWallet,
        wallet: Wallet,
        deployment: Deployment,
        asset: Asset,
        atoms: int,
        owner: str,
        on_progress: OnProgress | None,
        until_s: float,
    ) -> None:
        self._chain = chain
        self._wallet = wallet
        self._deployment = deployment
        self._asset = asset
        self._atoms = atoms
        self._owner = owner
        self._on_progress = on_progress
        self._until_s = until_s
        self._vault = chain.contract(deployment.vault, VAULT_ABI)
        self._signed: Signed | None = None

    async def send(self) -> tuple[DepositSent, Signed]:
        """Until it is in a block. Raises ChainError when nothing was deposited, DepositPending."""
        if self._asset.token == NATIVE:
            return await self._send()
        async with self._chain.one_at_a_time(self._asset.token):  # allowances and permits are used up
            return await self._send()

    async def _send(self) -> tuple[DepositSent, Signed]:
        await self._require_funds()
        what = f"deposit of {from_atoms(self._atoms, self._asset.decimals)} {self._asset.symbol}"
        call, value = await self._call()
        try:
            receipt = await self._chain.transact(
                call, what, value=value, on_signed=self._note, timeout_s=self._left_s
            )
        except TransactionUnknown as unknown:
            raise DepositPending(str(unknown), unknown.tx_hash) from unknown
        events = self._vault.events.Deposited().process_receipt(receipt, errors=DISCARD)
        [event] = [each for each in events if each["address"].lower() == self._deployment.vault.lower()]
        assert self._signed is not None
        sent = DepositSent(
            asset=self._asset.symbol, tx_hash=self._signed.tx_hash, number=str(event["args"]["number"])
        )
        await tell(self._on_progress, DepositProgress(stage="mined", tx_hash=sent.tx_hash))
        return sent, self._signed

    async def _note(self, signed: Signed) -> None:
        self._signed = signed
        await tell(self._on_progress, DepositProgress(stage="signed", tx_hash=signed.tx_hash))

    async def _require_funds(self) -> None:
        if self._asset.token == NATIVE:
            has_atoms = await self._chain.balance()
        else:
            has_atoms = await self._read(self._token.functions.balanceOf(self._chain.address))
        if has_atoms < self._atoms:
            has = from_atoms(has_atoms, self._asset.decimals)
            raise ChainError(f"the wallet has {has} {self._asset.symbol} on the chain, nothing was sent")

    @property
    def _left_s(self) -> float:
        return max(0.0, self._until_s - asyncio.get_running_loop().time())

    @property
    def _token(self) -> Any:
        return self._chain.contract(self._asset.token, TOKEN_ABI)

    async def _read(self, call: Any) -> Any:
        return await self._chain.read(call.call, f"{self._asset.symbol} can not be asked")

    async def _call(self) -> tuple[Any, int]:
        """What to call the vault with, and how much of the chain's coin goes along."""
        functions, owner = self._vault.functions, self._chain_address(self._owner)
        if self._asset.token == NATIVE:
            return functions.depositNative(owner), self._atoms
        token = self._token
        vault = self._vault.address
        plain = functions.deposit(owner, token.address, self._atoms)
        allowed = await self._read(token.functions.allowance(self._chain.address, vault))
        if allowed >= self._atoms:
            return plain, 0
        permitted = await self._with_permit(owner)
        if permitted is not None:
            return permitted, 0
        await self._approve(allowed)
        return plain, 0

    async def _approve(self, allowed: int) -> None:
        approve = self._token.functions.approve
        what = f"approval of {self._asset.symbol}"
        amounts = [self._atoms]
        if allowed and await self._chain.would_revert(approve(self._vault.address, self._atoms)):
            amounts.insert(0, 0)
        for atoms in amounts:
            call = approve(self._vault.address, atoms)
            await self._chain.transact(call, what, on_signed=self._approving, timeout_s=self._left_s)

    async def _approving(self, signed: Signed) -> None:
        await tell(self._on_progress, DepositProgress(stage="approving", tx_hash=signed.tx_hash))

    async def _with_permit(self, owner: str) -> Any | None:
        """The call with a signed permit; None where the token knows none, or another kind."""
        token = self._token
        try:
            separator = bytes(await self._chain.ask(token.functions.DOMAIN_SEPARATOR().call))
            nonce = int(await self._chain.ask(token.functions.nonces(self._chain.address).call))
            names = [await self._chain.ask(token.functions.name().call)]
        except (Web3Exception, ValueError):
            return None
        domain = await self._domain(names[0], separator)
        if domain is None:
            return None
        deadline_s = int(time.time()) + PERMIT_LIFE_S
        message = {
            "owner": self._chain.address,
            "spender": self._vault.address,
            "value": self._atoms,
            "nonce": nonce,
            "deadline": deadline_s,
        }
        signable = encode_typed_data(domain.data, {"Permit": PERMIT}, message)
        signature = self._wallet.account.sign_message(signable)
        call = self._vault.functions.depositWithPermit(
            owner,
            token.address,
            self._atoms,
            deadline_s,
            signature.v,
            signature.r.to_bytes(32, "big"),
            signature.s.to_bytes(32, "big"),
        )
        return None if await self._chain.would_revert(call) else call

    async def _domain(self, name: str, separator: bytes) -> Any | None:
        """The token's own domain, if one of the usual ones has its separator."""
        try:
            versions = [str(await self._chain.ask(self._token.functions.version().call))]
        except (Web3Exception, ValueError):
            versions = []
        domains = permit_domains(name, versions, self._deployment.chain_id, self._token.address)
        return next((domain for domain in domains if domain.separator == separator), None)

    def _chain_address(self, address: str) -> str:
        return self._chain.contract(address, []).address


PERMIT = [
    {"name": "owner", "type": "address"},
    {"name": "spender", "type": "address"},
    {"name": "value", "type": "uint256"},
    {"name": "nonce", "type": "uint256"},
    {"name": "deadline", "type": "uint256"},
]


async def _credited(
    exchange: "Exchange",
    tx_hash: str,
    until_s: float,
    on_progress: OnProgress | None,
    chain: ChainWallet | None = None,
    signed: Signed | None = None,
) -> Deposit:
    """Looks until the exchange has credited it. A block that the chain took back is made up for."""
    loop = asyncio.get_running_loop()
    confirmations = -1
    check_s = loop.time() + CHECK_EVERY_S
    while True:
        found = await _find(exchange, tx_hash)
        if found is not None and found.is_credited:
            await tell(on_progress, _progress("credited", found))
            return found
        if found is not None and found.confirmations != confirmations:
            confirmations = found.confirmations
            await tell(on_progress, _progress("confirming", found))
        if loop.time() >= until_s:
            raise DepositPending("the deposit is not credited yet", tx_hash)
        if chain is not None and signed is not None and loop.time() >= check_s:
            check_s = loop.time() + CHECK_EVERY_S
            await _keep_on_chain(chain, signed)
        await asyncio.sleep(LOOK_S)


async def _keep_on_chain(chain: ChainWallet, signed: Signed) -> None:
    """Sends it again where the chain has lost it."""
    try:
        if await chain.receipt(signed.tx_hash) is None:
            await chain.send_again(signed)
    except CANNOT_TELL:
        return


def checked_hash(tx_hash: str) -> str:
    """As the exchange writes it. Raises ValueError for what is none, which would be waited for in vain."""
    match = _HASH.fullmatch(tx_hash)
    if match is None:
        raise ValueError(f"a transaction's hash is 0x and 64 hex digits, not {tx_hash!r}")
    return "0x" + match[1].lower()


def _progress(stage: Stage, found: Deposit) -> DepositProgress:
    return DepositProgress(
        stage=stage,
        tx_hash=found.tx_hash,
        confirmations=found.confirmations,
        required_confirmations=found.required_confirmations,
        deposit=found,
    )


async def _find(exchange: "Exchange", tx_hash: str) -> Deposit | None:
    who: Literal["owner", "trader"] = "owner" if exchange.wallet is not None else "trader"
    cursor: str | None = None
    for _ in range(4):
        params = {"limit": 500, "cursor": cursor}
        try:
            page = await exchange._http.get("/v1/deposits", Page[Deposit], params, who=who)
        except _TRIED_AGAIN:
            return None
        for item in page.items:
            if item.tx_hash == tx_hash:
                return item
        if page.next_cursor is None:
            return None
        cursor = page.next_cursor
    return None
