"""Sign-In-With-Ethereum: the server writes the whole text, the wallet signs it, once.

The way of a login:

    issue   -> text (domain, URI, chain id, address, nonce, issued-at, expiry, statement), pre-login token;
               kept: the hash of each and the expiry, under the pre-login token's hash
    redeem  <- text, signature, pre-login token
               1. the token names the challenge; unused and in time
               2. the text is byte for byte the one issued
               3. domain, URI, version, chain id, address, nonce and both times are read back and checked
               4. the signature is strict (`signatures`), and right by our recovery and by the `siwe` package
               5. the nonce is used up by one UPDATE: of two logins at once, one wins

A wrong signature does not use up the nonce: whoever holds the pre-login token may try the wallet again.
Source: EIP-4361.
"""

import asyncio
import secrets
import string
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from types import ModuleType

import asyncpg
from eth_account.messages import defunct_hash_message
from eth_keys.exceptions import BadSignature
from eth_utils.exceptions import ValidationError as KeyValidationError

from exchange.gateway.addresses import checksummed
from exchange.gateway.refusals import GatewayCode, LoginRefused, SignatureRefused
from exchange.gateway.signatures import parse_signature, require_signer
from exchange.gateway.siwe_package import SiwePackage
from exchange.gateway.tokens import is_token, new_token, sha256

STATEMENT = "Sign in to the exchange. This request moves no funds and costs nothing."
MAX_MESSAGE_CHARS = 2_000
MAX_LIFETIME_S = 300
_NONCE_LETTERS = string.ascii_letters + string.digits
_NONCE_CHARS = 24
_KEPT_AFTER_EXPIRY_NS = 600 * 10**9
_SQL_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Challenge:
    """What the wallet is asked to sign. `pre_login_token` stays with whoever asked."""

    message: str
    pre_login_token: str
    expires_ns: int


class Login:
    """Issues challenges and redeems them, for one domain, URI and chain."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        *,
        domain: str,
        uri: str,
        chain_id: int,
        clock_ns: Callable[[], int],
        lifetime_s: int = MAX_LIFETIME_S,
        package: SiwePackage | None = None,
    ) -> None:
        """`domain` is the authority that the browser shows (host and port), `uri` the site's own address.

        `package` is only another one where a test needs one that fails.
        """
        assert 0 < lifetime_s <= MAX_LIFETIME_S
        self._pool = pool
        self._domain = domain
        self._uri = uri
        self._chain_id = chain_id
        self._clock_ns = clock_ns
        self._lifetime_ns = lifetime_s * 10**9
        self.package = package or SiwePackage()

    async def issue(self, address: str) -> Challenge:
        """A new challenge for a lower-case address. Raises LoginUnavailable."""
        siwe = await self.package.get()
        issued_ns = self._clock_ns()
        expires_ns = issued_ns + self._lifetime_ns
        nonce = "".join(secrets.choice(_NONCE_LETTERS) for _ in range(_NONCE_CHARS))
        message = siwe.SiweMessage(
            domain=self._domain,
            address=checksummed(address),
            statement=STATEMENT,
            uri=self._uri,
            version="1",
            chain_id=self._chain_id,
            nonce=nonce,
            issued_at=_rfc3339(issued_ns),
            expiration_time=_rfc3339(expires_ns),
        ).prepare_message()
        token = new_token()
        async with asyncio.timeout(_SQL_TIMEOUT_S):
            await self._pool.execute(
                """
                WITH forgotten AS (DELETE FROM login_challenges WHERE expires_ns < $7)
                INSERT INTO login_challenges
                    (pre_login_hash, message_hash, nonce_hash, address, issued_ns, expires_ns)
                VALUES ($1, $2, $3, $4, $5, $6)
                """,
                sha256(token),
                sha256(message),
                sha256(nonce),
                address,
                issued_ns,
                expires_ns,
                issued_ns - _KEPT_AFTER_EXPIRY_NS,
            )
        return Challenge(message, token, expires_ns)

    async def redeem(self, message: str, signature: object, pre_login_token: str | None) -> str:
        """The lower-case address that signs in. Raises LoginRefused, SignatureRefused, LoginUnavailable."""
        if pre_login_token is None or not is_token(pre_login_token):
            raise LoginRefused(
                GatewayCode.PRE_LOGIN_TOKEN_INVALID,
                "a login needs the pre-login token that came with its message, in the cookie or the body",
                field="pre_login_token",
            )
        token_hash = sha256(pre_login_token)
        async with asyncio.timeout(_SQL_TIMEOUT_S):
            challenge = await self._pool.fetchrow(
                """
                SELECT message_hash, nonce_hash, address, expires_ns, consumed_ns
                FROM login_challenges WHERE pre_login_hash = $1
                """,
                token_hash,
            )
        if challenge is None:
            raise LoginRefused(
                GatewayCode.PRE_LOGIN_TOKEN_INVALID,
                "no login was started with this pre-login token",
                field="pre_login_token",
            )
        siwe = await self.package.get()
        now_ns = self._clock_ns()
        if challenge["consumed_ns"] is not None:
            raise _nonce_used()
        if now_ns >= challenge["expires_ns"]:
            raise _expired()
        address: str = challenge["address"]
        if sha256(message) != challenge["message_hash"]:
            raise self._mismatch(message, address)
        self._check_signature(siwe, message, signature, address, challenge["nonce_hash"], now_ns)
        async with asyncio.timeout(_SQL_TIMEOUT_S):
            won = await self._pool.fetchval(
                """
                UPDATE login_challenges SET consumed_ns = $2
                WHERE pre_login_hash = $1 AND consumed_ns IS NULL AND expires_ns > $2
                RETURNING address
                """,
                token_hash,
                now_ns,
            )
        if won is None:
            raise _nonce_used()
        return address

    def _check_signature(
        self, siwe: ModuleType, message: str, signature: object, address: str, nonce_hash: bytes, now_ns: int
    ) -> None:
        """Steps 3 and 4, for a text that is byte for byte ours."""
        parsed = siwe.SiweMessage.from_message(message, abnf=False)
        issued = (
            parsed.domain == self._domain
            and parsed.uri == self._uri
            and parsed.version.value == "1"
            and parsed.chain_id == self._chain_id
            and parsed.address == checksummed(address)
            and sha256(parsed.nonce) == nonce_hash
            and parsed.expiration_time is not None
        )
        if not issued:  # ours, but of before a change of this deployment's domain, address or chain
            raise self._mismatch(message, address)
        raw_signature = parse_signature(signature)
        require_signer(bytes(defunct_hash_message(text=message)), raw_signature, address)
        try:
            parsed.verify(
                "0x" + raw_signature.hex(),
                domain=self._domain,
                nonce=parsed.nonce,
                timestamp=datetime.fromtimestamp(now_ns / 1e9, UTC),
            )
        except siwe.ExpiredMessage as error:
            raise _expired() from error
        except (siwe.VerificationError, BadSignature, KeyValidationError) as error:
            raise SignatureRefused(
                GatewayCode.SIGNATURE_WRONG_SIGNER, "the signature does not verify", field="signature"
            ) from error

    def _mismatch(self, message: str, address: str) -> LoginRefused:
        """The refusal of a text that is not the issued one, naming the first part that differs."""
        lines = message[:MAX_MESSAGE_CHARS].split("\n")
        expected = {
            "domain": f"{self._domain} wants you to sign in with your Ethereum account:",
            "address": checksummed(address),
            "URI": f"URI: {self._uri}",
            "version": "Version: 1",
            "chain id": f"Chain ID: {self._chain_id}",
        }
        differing = next((part for part, line in expected.items() if line not in lines), "text")
        return LoginRefused(
            GatewayCode.LOGIN_MESSAGE_MISMATCH,
            f"this is not the message that was issued: its {differing} differs",
            field="message",
        )


def _rfc3339(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _nonce_used() -> LoginRefused:
    return LoginRefused(
        GatewayCode.LOGIN_NONCE_USED, "this message has been used to sign in already", field="message"
    )


def _expired() -> LoginRefused:
    return LoginRefused(
        GatewayCode.LOGIN_EXPIRED, "this message has expired; ask for a new one", field="message"
    )
