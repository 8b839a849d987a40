"""What only the owner may, with the wallet: approve and revoke keys, move funds between accounts."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from exchange_sdk.clock import Nonces
from exchange_sdk.errors import NoCredential
from exchange_sdk.models import Agent, Deployment, Model, Scope, Transfer, WithdrawalAddress
from exchange_sdk.numbers import Number, plain
from exchange_sdk.orders import new_client_id
from exchange_sdk.signing import AgentKey, key_id
from exchange_sdk.transport import Transport
from exchange_sdk.wallet import Wallet

_SCOPES: tuple[Scope, ...] = ("read", "trade")
_APPROVAL_LIFE_S = 600
_DOMAIN_TYPE = (
    ("name", "string"),
    ("version", "string"),
    ("chainId", "uint256"),
    ("verifyingContract", "address"),
    ("salt", "bytes32"),
)
APPROVAL_TYPE = (
    ("account", "address"),
    ("key", "string"),
    ("name", "string"),
    ("scopes", "string[]"),
    ("markets", "string[]"),
    ("subAccounts", "uint8[]"),
    ("expires", "uint64"),
    ("ipRanges", "string[]"),
    ("nonce", "uint256"),
    ("deadline", "uint256"),
)
ADDRESS_TYPE = (
    ("account", "address"),
    ("destination", "address"),
    ("nonce", "uint256"),
    ("deadline", "uint256"),
)


class _Agent(Model, frozen=True):
    agent: Agent


class _Transfer(Model, frozen=True):
    seq: int
    transfer: Transfer


class _WithdrawalAddress(Model, frozen=True):
    seq: int
    withdrawal_address: WithdrawalAddress


def typed_data(
    deployment: Deployment, name: str, fields: Sequence[tuple[str, str]], message: dict[str, Any]
) -> dict[str, Any]:
    """A message of this deployment as EIP-712 typed data."""
    return {
        "domain": {
            "name": "Exchange",
            "version": "1",
            "chainId": deployment.chain_id,
            "verifyingContract": deployment.vault,
            "salt": bytes.fromhex(deployment.genesis_id.removeprefix("0x")),
        },
        "primaryType": name,
        "types": {
            "EIP712Domain": [{"name": field, "type": kind} for field, kind in _DOMAIN_TYPE],
            name: [{"name": field, "type": kind} for field, kind in fields],
        },
        "message": message,
    }


class Ownership:
    """Needs `wallet=`; a key alone can do none of it."""

    _http: Transport
    _approvals: Nonces
    wallet: Wallet | None

    async def approve(
        self,
        key: AgentKey | str,
        name: str,
        *,
        scopes: Sequence[Scope] = _SCOPES,
        markets: Sequence[str] = (),
        sub_accounts: Sequence[int] = (),
        expires: datetime | timedelta = timedelta(days=90),
        ip_ranges: Sequence[str] = (),
    ) -> Agent:
        """Lets a key trade for the wallet, until it `expires` (at most 366 days) or is revoked.

        `markets`, `sub_accounts` and `ip_ranges` restrict it; empty ones do not. It can never withdraw.
        """
        wallet, deployment, now_s = await self._signing()
        ends = datetime.fromtimestamp(now_s, UTC) + expires if isinstance(expires, timedelta) else expires
        if ends.tzinfo is None:
            raise TypeError("expires has no time zone: make it with datetime.now(UTC) or tzinfo=UTC")
        unknown = set(scopes) - set(_SCOPES)
        if isinstance(scopes, str) or unknown:
            raise ValueError(f"scopes are a sequence of {' and '.join(_SCOPES)}, not {scopes!r}")
        if isinstance(markets, str) or isinstance(ip_ranges, str):
            raise TypeError("markets and ip_ranges are sequences: of one, too")
        content: dict[str, Any] = {
            "key": key_id(key),
            "name": name,
            "scopes": [scope for scope in _SCOPES if scope in scopes],
            "markets": list(markets),
        }
        nonce, deadline_s = self._approvals.next(now_s * 10**9), now_s + _APPROVAL_LIFE_S
        message = {
            "account": wallet.address,
            **content,
            "subAccounts": list(sub_accounts),
            "expires": int(ends.timestamp()),
            "ipRanges": list(ip_ranges),
            "nonce": nonce,
            "deadline": deadline_s,
        }
        signed = typed_data(deployment, "AgentApproval", APPROVAL_TYPE, message)
        body = {
            **content,
            "sub_accounts": message["subAccounts"],
            "expires_at_s": message["expires"],
            "ip_ranges": message["ipRanges"],
            "nonce": str(nonce),
            "deadline_s": deadline_s,
            "signature": wallet.sign_typed(signed),
        }
        # The same approval sent again is known, so it may be.
        answer = await self._http.post("/v1/agents", body, _Agent, who="owner", repeatable=True)
        return answer.agent

    async def revoke(self, key: AgentKey | str) -> Agent:
        """Ends a key at once and for ever, on open streams too."""
        return (await self._http.delete(f"/v1/agents/{key_id(key)}", _Agent, who="owner")).agent

    async def transfer(
        self,
        asset: str,
        amount: Number,
        *,
        to: int,
        source: int = 0,
        client_transfer_id: str | None = None,
    ) -> Transfer:
        """Moves funds between the owner's accounts, and opens the receiving one.

        It has a `client_transfer_id`, of its own making unless given, so that it is made once.
        """
        body = {
            "from_sub_account": source,
            "to_sub_account": to,
            "asset": asset,
            "amount": plain(amount, "amount"),
            "client_transfer_id": client_transfer_id or new_client_id(),
        }
        answer = await self._http.post("/v1/transfers", body, _Transfer, who="owner", repeatable=True)
        return answer.transfer

    async def add_withdrawal_address(self, address: str, label: str = "") -> WithdrawalAddress:
        """Lets withdrawals go to an address, after the exchange's waiting time."""
        wallet, deployment, now_s = await self._signing()
        nonce, deadline_s = self._approvals.next(now_s * 10**9), now_s + _APPROVAL_LIFE_S
        message = {
            "account": wallet.address,
            "destination": address,
            "nonce": nonce,
            "deadline": deadline_s,
        }
        signed = typed_data(deployment, "WithdrawalAddress", ADDRESS_TYPE, message)
        body = {
            "address": address,
            "label": label,
            "nonce": str(nonce),
            "deadline_s": deadline_s,
            "signature": wallet.sign_typed(signed),
        }
        answer = await self._http.post(
            "/v1/withdrawal-addresses", body, _WithdrawalAddress, who="owner", repeatable=True
        )
        return answer.withdrawal_address

    async def remove_withdrawal_address(self, address: str) -> WithdrawalAddress:
        """Takes an address off the list at once."""
        path = f"/v1/withdrawal-addresses/{quote(address, safe='')}"
        return (await self._http.delete(path, _WithdrawalAddress, who="owner")).withdrawal_address

    async def _signing(self) -> tuple[Wallet, Deployment, int]:
        if self.wallet is None:
            raise NoCredential("this needs the owner's wallet: Exchange(url, wallet=...)")
        await self._http.ready()
        return self.wallet, await self._http.deployment(), self._http.clock.now_s()
