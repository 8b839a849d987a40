"""Deploys the contracts on the development chain, and remembers where, so that a restart finds them again.

Every role has a key of its own: the deployer sets up and then gives away all power, the admin (with an
execution delay) may change roles and settings, the guardian pauses and cancels what the admin has scheduled,
the signer approves payments, the sender sends them, the publisher publishes balance roots. Whoever is given
a role has it only after a grant delay. What protects what is explained in docs/contracts.md.
"""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import rlp  # type: ignore[import-untyped]
from eth_abi.abi import encode
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

import exchange.chain.dev_keys as keys
from exchange.chain import balance_roots as roots_abi
from exchange.chain import deposit_addresses as addresses_abi
from exchange.chain import vault as vault_abi
from exchange.chain.errors import ArtifactMissing, ChainError, DeployFailed, DeploymentLost
from exchange.chain.forwarders import forwarder_code
from exchange.chain.rpc import Receipt, Rpc
from exchange.chain.vault import selector
from exchange.core.markets import NATIVE_TOKEN

ADMIN_ROLE = 0
SETTINGS_ROLE = 5
"""The admin's, for the functions of our contracts: the admin role itself cannot have a guardian, this can."""
ADMIN_DELAY_S = 3_600
GRANT_DELAY_S = 86_400
TARGET_DELAY_S = 86_400
SETBACK_S = 5 * 86_400
"""After how long the AccessManager lets a grant or target delay count, even the first."""
FIRST_ADMIN_DELAY_S = SETBACK_S + ADMIN_DELAY_S
"""How long the admin waits with roles until then, so that there is no time without those delays."""
ROLES = (
    ADMIN_ROLE,
    vault_abi.SIGNER_ROLE,
    vault_abi.SENDER_ROLE,
    vault_abi.GUARDIAN_ROLE,
    roots_abi.PUBLISHER_ROLE,
    SETTINGS_ROLE,
)
MANAGER_FUNCTIONS = (
    "labelRole(uint64,string)",
    "setRoleAdmin(uint64,uint64)",
    "setRoleGuardian(uint64,uint64)",
    "setGrantDelay(uint64,uint32)",
    "setTargetAdminDelay(address,uint32)",
    "setTargetClosed(address,bool)",
    "setTargetFunctionRole(address,bytes4[],uint64)",
    "updateAuthority(address,address)",
    "grantRole(uint64,address,uint32)",
    "revokeRole(uint64,address)",
)
"""All that the AccessManager has for its admins; the guardian can cancel each of them before it runs."""
TOKENS = (("USDC", 6, 1_000_000), ("WBTC", 8, 100))
"""Symbol, decimals, and how many whole tokens each development user gets."""
NATIVE_MINIMUM_ATOMS = 10**16
MINIMUM_ATOMS = {"USDC": 10**6, "WBTC": 10**4}
"""Least amounts that are swept from deposit addresses: 0.01 ETH, 1 USDC, 0.0001 WBTC."""
NATIVE_OUTFLOW_ATOMS = 10_000 * 10**18
OUTFLOW_ATOMS = {"USDC": 100_000_000 * 10**6, "WBTC": 1_000 * 10**8}
OUTFLOW_WINDOW_S = 86_400
"""What payments may take out of the vault at once, and again evenly over a window."""
MAX_ROOT_AGE_BLOCKS = 100_000
"""How far back the block of a balance root may lie when it is published."""

_CREATE_GAS = 7_000_000
_CALL_GAS = 500_000
_PRIORITY_FEE_WEI = 1_000_000_000
_MINED_TIMEOUT_S = 60.0


class Token(msgspec.Struct, frozen=True):
    """A deployed token."""

    symbol: str
    decimals: int
    address: str


class Deployment(msgspec.Struct, frozen=True):
    """Where the contracts are; nothing of the vault lies before `deploy_block`.

    `deposit_addresses` and `balance_roots` are "" in a deployment that was stored before there were any.
    `forwarder_code` (hex) is what the registry creates: later builds may compile it to something else.
    """

    chain_id: int
    vault: str
    access_manager: str
    tokens: tuple[Token, ...]
    deploy_block: int
    deposit_addresses: str = ""
    balance_roots: str = ""
    forwarder_code: str = ""

    def save(self, path: Path) -> None:
        """Writes the file whole or not at all."""
        partial = path.with_name(path.name + ".partial")
        partial.write_bytes(msgspec.json.format(msgspec.json.encode(self)))
        os.replace(partial, path)  # noqa: PTH105 - same as Path.replace

    @classmethod
    def load(cls, path: Path) -> "Deployment | None":
        """The stored deployment, None when there is none. Raises msgspec.ValidationError."""
        try:
            stored = path.read_bytes()
        except FileNotFoundError:
            return None
        return msgspec.json.decode(stored, type=cls)


async def ensure_deployment(rpc: Rpc, path: Path, artifacts: Path) -> Deployment:
    """The deployment stored at `path`, verified; or a new one, stored there.

    Raises DeploymentLost, DeployFailed, ArtifactMissing.
    """
    stored = Deployment.load(path)
    if stored is not None:
        await verify(rpc, stored)
        return stored
    deployment = await deploy(rpc, artifacts)
    deployment.save(path)
    return deployment


async def verify(rpc: Rpc, deployment: Deployment) -> None:
    """Raises WrongChain or DeploymentLost when the chain is not the one that was deployed on."""
    await rpc.check_chain(deployment.chain_id)
    for contract in (deployment.vault, deployment.deposit_addresses, deployment.balance_roots):
        if contract and not await rpc.code(contract):
            raise DeploymentLost(contract)


async def deploy(rpc: Rpc, artifacts: Path) -> Deployment:
    """Deploys the contracts and test tokens, grants the roles, lists the tokens and gives the users some.

    `artifacts` is forge's output folder. Development chain only.
    Raises ArtifactMissing, DeployFailed, WrongChain.
    """
    await rpc.check_chain(keys.DEV_CHAIN_ID)
    deployer = keys.dev_address(keys.DEPLOYER_KEY)
    batch = _Batch(deployer, await rpc.transaction_count(deployer))

    manager = batch.create("access manager", _bytecode(artifacts, "AccessManager"), ["address"], [deployer])
    vault = batch.create("vault", _bytecode(artifacts, "Vault"), ["address"], [manager])
    tokens = tuple(
        Token(symbol, decimals, batch.create(symbol, _bytecode(artifacts, f"Test{symbol}"), [], []))
        for symbol, decimals, _ in TOKENS
    )
    addresses = batch.create(
        "deposit addresses",
        _bytecode(artifacts, "DepositAddresses"),
        ["address", "address"],
        [manager, vault],
    )
    roots = batch.create(
        "balance roots",
        _bytecode(artifacts, "BalanceRoots"),
        ["address", "uint256"],
        [manager, MAX_ROOT_AGE_BLOCKS],
    )
    _set_minimums(batch, addresses, tokens)
    _set_outflow_limits(batch, vault, tokens)
    _assign_functions(batch, manager, vault, addresses, roots)
    _set_delays(batch, manager, (manager, vault, addresses, roots))
    _grant_roles(batch, manager, deployer)
    for token, (_, decimals, whole) in zip(tokens, TOKENS, strict=True):
        for user in keys.USER_KEYS:
            holder = keys.dev_address(user)
            mint = [holder, whole * 10**decimals]
            batch.call("mint", token.address, "mint(address,uint256)", ["address", "uint256"], mint)

    receipts = await batch.send(rpc)
    block = receipts[1].block_number  # the vault's: its own transactions are the second and later ones
    code = forwarder_code(artifacts).hex()
    return Deployment(keys.DEV_CHAIN_ID, vault, manager, tokens, block, addresses, roots, code)


def _set_minimums(batch: "_Batch", addresses: str, tokens: Sequence[Token]) -> None:
    """Lists the tokens for sweeping, while the deployer is still the admin without a delay."""
    minimums = [(NATIVE_TOKEN, NATIVE_MINIMUM_ATOMS)]
    minimums += [(token.address, MINIMUM_ATOMS[token.symbol]) for token in tokens]
    for token, minimum in minimums:
        batch.call(
            "minimum", addresses, addresses_abi.SET_MINIMUM_TYPE, ["address", "uint256"], [token, minimum]
        )


def _set_outflow_limits(batch: "_Batch", vault: str, tokens: Sequence[Token]) -> None:
    limits = [(NATIVE_TOKEN, NATIVE_OUTFLOW_ATOMS)]
    limits += [(token.address, OUTFLOW_ATOMS[token.symbol]) for token in tokens]
    for token, limit in limits:
        batch.call(
            "outflow limit",
            vault,
            "setOutflowLimit(address,uint256,uint64)",
            ["address", "uint256", "uint64"],
            [token, limit, OUTFLOW_WINDOW_S],
        )


def _assign_functions(batch: "_Batch", manager: str, vault: str, addresses: str, roots: str) -> None:
    functions = (
        (vault, vault_abi.SENDER_ROLE, [vault_abi.WITHDRAW]),
        (vault, vault_abi.GUARDIAN_ROLE, [vault_abi.PAUSE, vault_abi.UNPAUSE]),
        (roots, roots_abi.PUBLISHER_ROLE, [roots_abi.PUBLISH]),
        (vault, SETTINGS_ROLE, [vault_abi.SET_OUTFLOW_LIMIT]),
        (vault, SETTINGS_ROLE, [vault_abi.PROPOSE_SETTLEMENT_MODULE, vault_abi.ACTIVATE_SETTLEMENT_MODULE]),
        (addresses, SETTINGS_ROLE, [addresses_abi.SET_MINIMUM]),
        # These stay the admin's, the manager sees to that itself. It asks for their role only to find out
        # who may cancel them.
        (manager, SETTINGS_ROLE, [selector(function) for function in MANAGER_FUNCTIONS]),
    )
    for target, role, selectors in functions:
        batch.call(
            "function role",
            manager,
            "setTargetFunctionRole(address,bytes4[],uint64)",
            ["address", "bytes4[]", "uint64"],
            [target, selectors, role],
        )
    batch.call(
        "role guardian",
        manager,
        "setRoleGuardian(uint64,uint64)",
        ["uint64", "uint64"],
        [SETTINGS_ROLE, vault_abi.GUARDIAN_ROLE],
    )


def _set_delays(batch: "_Batch", manager: str, targets: Sequence[str]) -> None:
    """Both kinds count only after SETBACK_S, so the roles that are granted next are held at once."""
    for role in ROLES:
        grant = [role, GRANT_DELAY_S]
        batch.call("grant delay", manager, "setGrantDelay(uint64,uint32)", ["uint64", "uint32"], grant)
    for target in targets:
        delay = [target, TARGET_DELAY_S]
        batch.call(
            "target delay", manager, "setTargetAdminDelay(address,uint32)", ["address", "uint32"], delay
        )


def _grant_roles(batch: "_Batch", manager: str, deployer: str) -> None:
    admin = keys.dev_address(keys.ADMIN_KEY)
    grants = (
        (vault_abi.SIGNER_ROLE, keys.dev_address(keys.SIGNER_KEY), 0),
        (vault_abi.SENDER_ROLE, keys.dev_address(keys.SENDER_KEY), 0),
        (vault_abi.GUARDIAN_ROLE, keys.dev_address(keys.GUARDIAN_KEY), 0),
        (roots_abi.PUBLISHER_ROLE, keys.dev_address(keys.PUBLISHER_KEY), 0),
        (SETTINGS_ROLE, admin, ADMIN_DELAY_S),
        # twice: a delay that is shortened counts in full until the difference has passed
        (ADMIN_ROLE, admin, FIRST_ADMIN_DELAY_S),
        (ADMIN_ROLE, admin, ADMIN_DELAY_S),
    )
    for role, holder, delay_s in grants:
        batch.call(
            "grant",
            manager,
            "grantRole(uint64,address,uint32)",
            ["uint64", "address", "uint32"],
            [role, holder, delay_s],
        )
    renounce = [ADMIN_ROLE, deployer]
    batch.call("renounce", manager, "renounceRole(uint64,address)", ["uint64", "address"], renounce)


class _Batch:
    """Transactions of one sender in a row: addresses are known before anything is sent."""

    def __init__(self, sender: str, nonce: int) -> None:
        self._sender = sender
        self._first_nonce = nonce
        self._steps: list[tuple[str, str | None, bytes]] = []

    def create(self, name: str, code: bytes, types: Sequence[str], values: Sequence[Any]) -> str:
        nonce = self._first_nonce + len(self._steps)
        self._steps.append((name, None, code + encode(types, values)))
        return "0x" + keccak(rlp.encode([bytes.fromhex(self._sender[2:]), nonce]))[12:].hex()

    def call(self, name: str, to: str, function: str, types: Sequence[str], values: Sequence[Any]) -> None:
        self._steps.append((name, to, selector(function) + encode(types, values)))

    async def send(self, rpc: Rpc) -> list[Receipt]:
        """Sends all, then waits until all are mined."""
        account = keys.dev_account(keys.DEPLOYER_KEY)
        max_fee_wei = 2 * (await rpc.head()).base_fee_wei + _PRIORITY_FEE_WEI
        hashes: list[tuple[str, str]] = []
        for nonce, (name, to, data) in enumerate(self._steps, self._first_nonce):
            transaction: dict[str, Any] = {
                "type": 2,
                "chainId": keys.DEV_CHAIN_ID,
                "nonce": nonce,
                "data": data,
                "value": 0,
                "gas": _CREATE_GAS if to is None else _CALL_GAS,
                "maxFeePerGas": max_fee_wei,
                "maxPriorityFeePerGas": _PRIORITY_FEE_WEI,
            } | ({} if to is None else {"to": to_checksum_address(to)})
            signed = account.sign_transaction(transaction)
            try:
                hashes.append((name, await rpc.send_raw(bytes(signed.raw_transaction))))
            except ChainError as error:
                raise DeployFailed(name, str(error)) from error
        return [await _mined(rpc, name, tx_hash) for name, tx_hash in hashes]


async def _mined(rpc: Rpc, name: str, tx_hash: str) -> Receipt:
    try:
        async with asyncio.timeout(_MINED_TIMEOUT_S):
            while (receipt := await rpc.receipt(tx_hash)) is None:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise DeployFailed(name, f"{tx_hash} was not mined in {_MINED_TIMEOUT_S:.0f} s") from None
    if not receipt.succeeded:
        raise DeployFailed(name, f"{tx_hash} was reverted")
    return receipt


def _bytecode(artifacts: Path, contract: str) -> bytes:
    path = artifacts / f"{contract}.sol" / f"{contract}.json"
    try:
        artifact = msgspec.json.decode(path.read_bytes())
    except FileNotFoundError:
        raise ArtifactMissing(str(path)) from None
    code: str = artifact["bytecode"]["object"]
    return bytes.fromhex(code.removeprefix("0x"))
