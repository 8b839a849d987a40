"""A real policy signer for a world: it signs only what an owner signed and the journal has."""

import contextlib
import secrets
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

from scripts.chain_drill.worker import SignerPlace

from exchange.chain.dev_keys import DEV_CHAIN_ID, SIGNER_KEY, dev_address, dev_key
from exchange.parts import running
from exchange.policy_signer.limits import TokenLimits
from exchange.policy_signer.process import listen, run_policy_signer
from exchange.policy_signer.settings import Identity, PolicySettings

HOST = "127.0.0.1"
LIMITS = TokenLimits(max_payment_atoms=10**9, max_in_window_atoms=10**12, window_s=3_600)


@contextlib.asynccontextmanager
async def policy_signer(
    database_url: str, genesis_id: str, vault: str, tokens: Iterable[str], folder: Path
) -> AsyncIterator[SignerPlace]:
    """Serves as long as the body runs; where it is."""
    listening = listen(HOST, 0)
    token = secrets.token_hex(32)
    settings = PolicySettings(
        identity=Identity(genesis_id, DEV_CHAIN_ID, vault),
        database_url=database_url,
        key=dev_key(SIGNER_KEY),
        token=token,
        limits=dict.fromkeys(tokens, LIMITS),
        state_file=folder / "policy-signer.sqlite",
    )
    place = SignerPlace(f"http://{HOST}:{listening.getsockname()[1]}", token, dev_address(SIGNER_KEY))
    # it listens already; whoever asks before it is ready waits
    async with running("policy signer", run_policy_signer(settings, listening=listening)):
        yield place
