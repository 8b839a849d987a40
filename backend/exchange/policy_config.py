"""Settings of the policy signer's process, which is best given nothing else.

`exchange policy-signer` takes them from EXCHANGE_POLICY_* variables:

    EXCHANGE_POLICY_DATABASE_URL   postgresql://... of the journal or a replica, as a role that can only read
    EXCHANGE_POLICY_GENESIS_ID     genesis id of the one exchange that is signed for (GET /v1/deployment)
    EXCHANGE_POLICY_CHAIN_ID, EXCHANGE_POLICY_VAULT  its chain and vault
    EXCHANGE_POLICY_KEYSTORE, EXCHANGE_POLICY_PASSWORD_FILE  the key of the vault's signer role
    EXCHANGE_POLICY_LIMITS         TOML file with a [[token]] table for each token that may be paid
    EXCHANGE_POLICY_STATE          file in which it keeps what it has seen and signed
    EXCHANGE_POLICY_TOKEN_FILE     file with the token that the exchange must show, 32 characters or more
    EXCHANGE_POLICY_HOST, EXCHANGE_POLICY_PORT  where to listen; 127.0.0.1 and 8100
"""

import re
from collections.abc import Mapping
from pathlib import Path

from exchange.environment import (
    SettingsInvalid,
    address,
    at_most,
    file_text,
    keystore,
    positive,
    required,
    shared_token,
)
from exchange.policy_signer.limits import parse_limits
from exchange.policy_signer.refusals import LimitsInvalid
from exchange.policy_signer.settings import Identity, PolicySettings

_GENESIS_ID = re.compile(r"0x[0-9a-fA-F]{64}", re.ASCII)


def policy_settings_from_environment(environment: Mapping[str, str]) -> PolicySettings:
    """Settings for `exchange policy-signer`. Raises SettingsInvalid naming the first that is wrong."""
    genesis_id = required(environment, "EXCHANGE_POLICY_GENESIS_ID").lower()
    if _GENESIS_ID.fullmatch(genesis_id) is None:
        raise SettingsInvalid("EXCHANGE_POLICY_GENESIS_ID", "not 0x and 64 hexadecimal digits")
    chain_id = positive(environment, "EXCHANGE_POLICY_CHAIN_ID")
    password = file_text(environment, "EXCHANGE_POLICY_PASSWORD_FILE").strip()
    try:
        limits = parse_limits(file_text(environment, "EXCHANGE_POLICY_LIMITS"))
    except LimitsInvalid as error:
        raise SettingsInvalid("EXCHANGE_POLICY_LIMITS", str(error)) from error
    return PolicySettings(
        identity=Identity(genesis_id, chain_id, address(environment, "EXCHANGE_POLICY_VAULT")),
        database_url=required(environment, "EXCHANGE_POLICY_DATABASE_URL"),
        key=keystore(environment, "EXCHANGE_POLICY_KEYSTORE", password, chain_id),
        token=shared_token(environment, "EXCHANGE_POLICY_TOKEN_FILE"),
        limits=limits,
        state_file=Path(required(environment, "EXCHANGE_POLICY_STATE")),
        host=environment.get("EXCHANGE_POLICY_HOST", "127.0.0.1"),
        port=at_most(environment, "EXCHANGE_POLICY_PORT", "8100", 65_535),
    )
