"""The signer that lives elsewhere: a client of the policy signer (exchange.policy_signer), over HTTP.

It sends what the owner signed and says what fee is kept; the other side works out everything else. The
answer is believed only if its signature is by the configured address over the payment that was asked for.
Asking again is always harmless, so an answer that does not come means only: not now.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import aiohttp
import msgspec
from eth_keys.datatypes import Signature
from eth_keys.exceptions import BadSignature
from eth_utils.exceptions import ValidationError as KeyInvalid

from exchange.chain.errors import SignerRefused, SignerUnavailable
from exchange.chain.payment_orders import PaymentOrder
from exchange.chain.vault import payment_digest

SIGN_PATH = "/v1/payments/sign"
MAX_ANSWER_BYTES = 16 * 1024
MAX_PARALLEL_CALLS = 4
MAX_DETAIL_CHARS = 300

_ABOUT_THE_PAYMENT = frozenset({400, 409, 422})
"""Statuses that refuse this payment; every other one but 200 says that nothing can be signed now."""

_HALF_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141 // 2


@dataclass(frozen=True, slots=True, repr=False)
class PolicySignerAt:
    """Where a policy signer is, what it must be told, and whose signatures it gives (lower-case address).

    Not printable: it carries the token.
    """

    url: str
    token: str
    address: str


class RemoteSigner:
    """Signer behind a policy signer. Use as an async context manager, or call `close`."""

    def __init__(self, where: PolicySignerAt, chain_id: int, vault: str, *, timeout_s: float = 20.0) -> None:
        """`timeout_s` covers a whole request; the other side may have to read on in the journal first."""
        self.address = where.address
        self._url = where.url.rstrip("/") + SIGN_PATH
        self._token = where.token
        self._chain_id = chain_id
        self._vault = vault
        self._timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def sign_order(self, order: PaymentOrder) -> bytes:
        """Raises OrderInconsistent, SignerRefused, SignerUnavailable."""
        order.check()
        status, answer = await self._ask(signing_request(order))
        if status == 200:
            return self._believed(order, answer)
        code = str(answer.get("code", f"status_{status}"))[:MAX_DETAIL_CHARS]
        if status not in _ABOUT_THE_PAYMENT:
            raise SignerUnavailable(code)
        detail = str(answer.get("detail", ""))[:MAX_DETAIL_CHARS]
        raise SignerRefused(order.payment.withdrawal_id, code, detail)

    async def _ask(self, body: bytes) -> tuple[int, Mapping[str, Any]]:
        """Status and JSON object of the answer. Raises SignerUnavailable."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=MAX_PARALLEL_CALLS),
                timeout=aiohttp.ClientTimeout(total=self._timeout_s),
                headers={"Content-Type": "application/json", "Authorization": f"Bearer {self._token}"},
            )
        try:
            async with self._session.post(self._url, data=body, allow_redirects=False) as response:
                raw = await _bounded(response)
                status = response.status
        except (aiohttp.ClientError, OSError) as error:
            # Not its text, and not chained: both name the URL. A TimeoutError is an OSError.
            raise SignerUnavailable(type(error).__name__) from None
        try:
            answer = msgspec.json.decode(raw)
        except msgspec.DecodeError:
            answer = None
        if not isinstance(answer, dict):
            raise SignerUnavailable(f"status {status} with an answer that makes no sense")
        return status, answer

    def _believed(self, order: PaymentOrder, answer: Mapping[str, Any]) -> bytes:
        signature = _signature(answer.get("signature"))
        digest = payment_digest(self._chain_id, self._vault, order.payment)
        if signature is None or _signed_by(digest, signature) != self.address:
            raise SignerUnavailable("its signature is not by the configured address over this payment")
        return signature


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    """The answer's body; what goes on for longer than any answer is cut, and then makes no sense."""
    body = b""
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            return b""
    return body


def signing_request(order: PaymentOrder) -> bytes:
    """The body of a request, as exchange.policy_signer.requests takes it."""
    request = order.request
    return msgspec.json.encode(
        {
            "withdrawal": {
                "account": request.owner,
                "subAccount": str(request.sub_account),
                "token": request.token,
                "amount": str(request.amount_atoms),
                "maxFee": str(request.max_fee_atoms),
                "destination": request.destination,
                "nonce": str(request.nonce),
                "deadline": str(request.deadline_s),
            },
            "owner_signature": request.signature,
            "fee": str(order.fee_atoms),
            "journal_seq": request.journal_seq,
        }
    )


def _signature(text: object) -> bytes | None:
    """65 bytes r, s, v as the vault takes them: v 27 or 28, s in the lower half."""
    if not isinstance(text, str) or len(text) != 132 or not text.startswith("0x"):
        return None
    try:
        signature = bytes.fromhex(text[2:])
    except ValueError:
        return None
    if len(signature) != 65 or signature[64] not in (27, 28):
        return None
    return signature if int.from_bytes(signature[32:64]) <= _HALF_ORDER else None


def _signed_by(digest: bytes, signature: bytes) -> str | None:
    try:
        parsed = Signature(signature[:64] + bytes([signature[64] - 27]))
        return str(parsed.recover_public_key_from_msg_hash(digest).to_address()).lower()
    except (BadSignature, KeyInvalid):
        return None
