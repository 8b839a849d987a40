"""Settings of the signer's two ways, and of the policy signer's own process."""

import json
from pathlib import Path

import pytest
from eth_account import Account
from tests.config.test_settings import environment, keystores  # noqa: F401 - fixtures

from exchange.chain.dev_keys import SIGNER_KEY, dev_key
from exchange.chain.remote_signer import PolicySignerAt
from exchange.config import settings_from_environment
from exchange.core.markets import NATIVE_TOKEN
from exchange.environment import SettingsInvalid
from exchange.policy_config import policy_settings_from_environment
from exchange.policy_signer.limits import TokenLimits
from exchange.policy_signer.settings import Identity

TOKEN = "a-shared-token-" + "t" * 32
LIMITS = f"""
[[token]]
token = "{NATIVE_TOKEN}"
decimals = 18
max_payment = "1"
max_in_window = "2"
window_minutes = 60
"""


@pytest.fixture
def remote(environment: dict[str, str], tmp_path: Path) -> dict[str, str]:  # noqa: F811
    """An environment with a policy signer instead of a keystore."""
    (tmp_path / "token").write_text(TOKEN + "\n")
    del environment["EXCHANGE_SIGNER_KEYSTORE"]
    return environment | {
        "EXCHANGE_SIGNER_URL": "https://signer.example:8100",
        "EXCHANGE_SIGNER_TOKEN_FILE": str(tmp_path / "token"),
        "EXCHANGE_SIGNER_ADDRESS": "0x" + "Aa" * 20,
    }


@pytest.fixture
def policy(tmp_path: Path, keystores: dict[str, str]) -> dict[str, str]:  # noqa: F811
    (tmp_path / "key.json").write_text(keystores["signer"])
    (tmp_path / "password").write_text("secret\n")
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "limits.toml").write_text(LIMITS)
    return {
        "EXCHANGE_POLICY_DATABASE_URL": "postgresql://replica/exchange",
        "EXCHANGE_POLICY_GENESIS_ID": "0x" + "AB" * 32,
        "EXCHANGE_POLICY_CHAIN_ID": "1",
        "EXCHANGE_POLICY_VAULT": "0x" + "Cd" * 20,
        "EXCHANGE_POLICY_KEYSTORE": str(tmp_path / "key.json"),
        "EXCHANGE_POLICY_PASSWORD_FILE": str(tmp_path / "password"),
        "EXCHANGE_POLICY_LIMITS": str(tmp_path / "limits.toml"),
        "EXCHANGE_POLICY_STATE": str(tmp_path / "state"),
        "EXCHANGE_POLICY_TOKEN_FILE": str(tmp_path / "token"),
    }


# ---- the exchange's side ---------------------------------------------------------------------------------


def test_a_policy_signer_takes_the_place_of_the_keystore(remote: dict[str, str]) -> None:
    settings = settings_from_environment(remote)
    assert settings.signer == PolicySignerAt("https://signer.example:8100", TOKEN, "0x" + "aa" * 20)
    assert TOKEN not in repr(settings)
    assert TOKEN not in repr(settings.signer)


def test_both_ways_at_once_and_neither_are_refused(remote: dict[str, str]) -> None:
    both = remote | {"EXCHANGE_SIGNER_KEYSTORE": remote["EXCHANGE_SENDER_KEYSTORE"]}
    neither = {name: value for name, value in remote.items() if name != "EXCHANGE_SIGNER_URL"}
    for environment in (both, neither):  # noqa: F402
        with pytest.raises(SettingsInvalid, match="EXCHANGE_SIGNER_KEYSTORE"):
            settings_from_environment(environment)


@pytest.mark.parametrize(
    "url", ["https://signer.example", "http://127.0.0.1:8100", "http://localhost:8100", "http://[::1]:8100/x"]
)
def test_a_signer_is_reached_over_https_or_on_this_machine(remote: dict[str, str], url: str) -> None:
    signer = settings_from_environment(remote | {"EXCHANGE_SIGNER_URL": url}).signer
    assert isinstance(signer, PolicySignerAt)
    assert signer.url == url


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("EXCHANGE_SIGNER_URL", "http://signer.example:8100"),
        ("EXCHANGE_SIGNER_URL", "http://127.0.0.1.example"),
        ("EXCHANGE_SIGNER_URL", "https://"),
        ("EXCHANGE_SIGNER_URL", "ftp://localhost"),
        ("EXCHANGE_SIGNER_URL", "https://user:secret@signer.example"),
        ("EXCHANGE_SIGNER_URL", "https://signer.example?token=1"),
        ("EXCHANGE_SIGNER_ADDRESS", "0x1234"),
        ("EXCHANGE_SIGNER_ADDRESS", ""),
        ("EXCHANGE_SIGNER_TOKEN_FILE", "/nowhere/token"),
        ("EXCHANGE_SIGNER_TOKEN_FILE", ""),
    ],
)
def test_a_wrong_setting_of_the_signer_is_named(remote: dict[str, str], name: str, value: str) -> None:
    with pytest.raises(SettingsInvalid, match=name):
        settings_from_environment(remote | {name: value})


def test_the_senders_key_can_not_be_the_policy_signers_too(remote: dict[str, str]) -> None:
    sender = Account.from_key(settings_from_environment(remote).sender_key).address
    with pytest.raises(SettingsInvalid, match="same key as EXCHANGE_SIGNER_ADDRESS") as refused:
        settings_from_environment(remote | {"EXCHANGE_SIGNER_ADDRESS": sender})
    assert refused.value.name == "EXCHANGE_SENDER_KEYSTORE"


@pytest.mark.parametrize("token", ["", "short", "with space " * 5, "\u00e9" * 40, "t" * 257])
def test_a_token_that_could_be_guessed_or_not_be_sent_is_refused(
    remote: dict[str, str], tmp_path: Path, token: str
) -> None:
    (tmp_path / "token").write_text(token)
    with pytest.raises(SettingsInvalid, match="EXCHANGE_SIGNER_TOKEN_FILE"):
        settings_from_environment(remote)


def test_a_development_key_is_refused_where_money_is_real(
    environment: dict[str, str],  # noqa: F811
    tmp_path: Path,
) -> None:
    content = Account.encrypt(dev_key(SIGNER_KEY), "secret", kdf="pbkdf2", iterations=10)
    (tmp_path / "signer.json").write_text(json.dumps(content))
    settings_from_environment(environment)
    with pytest.raises(SettingsInvalid, match=r"EXCHANGE_SIGNER_KEYSTORE: .* public development key"):
        settings_from_environment(environment | {"EXCHANGE_CHAIN_ID": "1"})


# ---- the policy signer's side ----------------------------------------------------------------------------


def test_a_whole_environment_gives_the_policy_signers_settings(
    policy: dict[str, str], tmp_path: Path
) -> None:
    settings = policy_settings_from_environment(policy)
    assert settings.identity == Identity("0x" + "ab" * 32, 1, "0x" + "cd" * 20)
    assert settings.limits == {NATIVE_TOKEN: TokenLimits(10**18, 2 * 10**18, 3_600)}
    assert (settings.key, settings.token) == (b"\x07" * 32, TOKEN)
    assert (settings.database_url, settings.state_file) == (
        "postgresql://replica/exchange",
        tmp_path / "state",
    )
    assert (settings.host, settings.port) == ("127.0.0.1", 8100)
    assert TOKEN not in repr(settings)
    assert "\\x07" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("EXCHANGE_POLICY_DATABASE_URL", ""),
        ("EXCHANGE_POLICY_GENESIS_ID", "ab" * 32),
        ("EXCHANGE_POLICY_GENESIS_ID", ""),
        ("EXCHANGE_POLICY_CHAIN_ID", "0"),
        ("EXCHANGE_POLICY_VAULT", "0x12"),
        ("EXCHANGE_POLICY_KEYSTORE", "/nowhere"),
        ("EXCHANGE_POLICY_PASSWORD_FILE", "/nowhere"),
        ("EXCHANGE_POLICY_LIMITS", "/nowhere"),
        ("EXCHANGE_POLICY_STATE", ""),
        ("EXCHANGE_POLICY_TOKEN_FILE", "/nowhere"),
        ("EXCHANGE_POLICY_PORT", "65536"),
    ],
)
def test_a_wrong_setting_of_the_policy_signer_is_named(policy: dict[str, str], name: str, value: str) -> None:
    with pytest.raises(SettingsInvalid, match=name):
        policy_settings_from_environment(policy | {name: value})


def test_limits_that_make_no_sense_are_named(policy: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "limits.toml").write_text(LIMITS.replace('"1"', '"3"'))
    with pytest.raises(SettingsInvalid, match="EXCHANGE_POLICY_LIMITS"):
        policy_settings_from_environment(policy)
