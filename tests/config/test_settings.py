"""Settings from the environment: right ones are taken exactly, wrong ones named."""

import json
from pathlib import Path

import pytest
from eth_account import Account

from exchange.chain.finality import Finality
from exchange.config import LocalKey, settings_from_environment
from exchange.core.commands import ListAsset, OpenMarket
from exchange.core.markets import NATIVE_TOKEN
from exchange.environment import SettingsInvalid
from exchange.gateway.rate_policy import Rate, RateLimitPolicy
from exchange.journal.snapshots import SnapshotPolicy
from exchange.operator.fee_tiers import FeeTierSchedule

TOKEN = "0x" + "Cc" * 20
LISTING = f"""
[[asset]]
symbol = "ETH"
decimals = 18
token = "{NATIVE_TOKEN}"

[[asset]]
symbol = "USDC"
decimals = 6
token = "{TOKEN}"
withdrawal_fee = "1.5"
min_withdrawal = "10"

[[market]]
base = "ETH"
quote = "USDC"
tick = "0.01"
lot = "0.0001"
maker_fee_bps = 10
taker_fee_bps = 20
"""


ROLES = {"signer": 7, "sender": 8, "sweeper": 9, "publisher": 10}


@pytest.fixture(scope="session")
def keystores() -> dict[str, str]:
    """A key for each role."""
    return {
        role: json.dumps(Account.encrypt(bytes([byte]) * 32, "secret", kdf="pbkdf2", iterations=10))
        for role, byte in ROLES.items()
    }


@pytest.fixture
def environment(tmp_path: Path, keystores: dict[str, str]) -> dict[str, str]:
    (tmp_path / "listing.toml").write_text(LISTING)
    for role, text in keystores.items():
        (tmp_path / f"{role}.json").write_text(text)
    (tmp_path / "password").write_text("secret\n")
    return {
        "EXCHANGE_DATABASE_URL": "postgresql://db/exchange",
        "EXCHANGE_CLICKHOUSE": "http://clickhouse:8123",
        "EXCHANGE_RPC_URL": "http://node:8545",
        "EXCHANGE_CHAIN_ID": "31337",
        "EXCHANGE_VAULT": "0x" + "Ab" * 20,
        "EXCHANGE_VAULT_BLOCK": "3",
        "EXCHANGE_CONFIRMATIONS": "12",
        "EXCHANGE_ORIGIN": "https://exchange.example/",
        "EXCHANGE_LISTING": str(tmp_path / "listing.toml"),
        "EXCHANGE_SIGNER_KEYSTORE": str(tmp_path / "signer.json"),
        "EXCHANGE_SENDER_KEYSTORE": str(tmp_path / "sender.json"),
        "EXCHANGE_KEY_PASSWORD_FILE": str(tmp_path / "password"),
    }


def test_a_whole_environment_gives_settings(environment: dict[str, str]) -> None:
    settings = settings_from_environment(environment)
    assert (settings.origin, settings.domain) == ("https://exchange.example", "exchange.example")
    assert (settings.host, settings.port, settings.finality) == ("127.0.0.1", 8000, Finality(12))
    assert settings.signer == LocalKey(b"\x07" * 32)
    assert settings.sender_key == b"\x08" * 32
    vault = "0x" + "ab" * 20
    assert settings.listing == (
        ListAsset("ETH", 18, 31337, vault, NATIVE_TOKEN, 0, 1),
        ListAsset("USDC", 6, 31337, vault, TOKEN.lower(), 1_500_000, 10_000_000),
        OpenMarket("ETH-USDC", "ETH", "USDC", 1, 2, 10**14, 10, 20),
    )


def test_snapshots_have_defaults_and_can_be_set(environment: dict[str, str]) -> None:
    assert settings_from_environment(environment).snapshots == SnapshotPolicy(100_000, 600.0, 3)
    environment |= {
        "EXCHANGE_SNAPSHOT_COMMANDS": "5000",
        "EXCHANGE_SNAPSHOT_MINUTES": "2",
        "EXCHANGE_SNAPSHOTS_KEPT": "7",
    }
    assert settings_from_environment(environment).snapshots == SnapshotPolicy(5_000, 120.0, 7)


def test_the_chain_may_decide_what_is_final(environment: dict[str, str]) -> None:
    environment["EXCHANGE_CONFIRMATIONS"] = "finalized"
    assert settings_from_environment(environment).finality == Finality(None)


def test_alerts_go_to_a_webhook_only_when_there_is_one(environment: dict[str, str]) -> None:
    assert settings_from_environment(environment).alert_url is None
    environment["EXCHANGE_ALERT_URL"] = "https://chat.example/hook?key=1"
    assert settings_from_environment(environment).alert_url == "https://chat.example/hook?key=1"


def test_figures_are_shown_only_where_the_operator_says(environment: dict[str, str]) -> None:
    assert settings_from_environment(environment).metrics is None
    for text, address in (("127.0.0.1:9100", ("127.0.0.1", 9_100)), ("0.0.0.0:0", ("0.0.0.0", 0))):
        environment["EXCHANGE_METRICS"] = text
        assert settings_from_environment(environment).metrics == address


def test_the_operator_says_how_many_streams_there_may_be(environment: dict[str, str]) -> None:
    assert settings_from_environment(environment).max_streams == 4_000
    environment["EXCHANGE_MAX_STREAMS"] = "20000"
    assert settings_from_environment(environment).max_streams == 20_000


def test_the_operator_says_how_much_may_be_asked_for(environment: dict[str, str], tmp_path: Path) -> None:
    assert settings_from_environment(environment).rate_limits == RateLimitPolicy()
    path = tmp_path / "rates.toml"
    path.write_text("[ip]\nrequests = { burst = 30, per_s = 10 }\n")
    environment["EXCHANGE_RATE_LIMITS"] = str(path)
    rates = settings_from_environment(environment).rate_limits
    assert (rates.ip.requests, rates.key) == (Rate(30, 10), RateLimitPolicy().key)
    for wrong in ("[ip]\nrequests = { burst = 30 }\n", "[proxy]\n", "[ip", "\x00"):
        path.write_text(wrong)
        with pytest.raises(SettingsInvalid, match="EXCHANGE_RATE_LIMITS"):
            settings_from_environment(environment)


def test_a_second_node_is_one_elsewhere(environment: dict[str, str]) -> None:
    name = "EXCHANGE_WITNESS_RPC_URL"
    assert settings_from_environment(environment).witness_rpc_url is None
    environment[name] = "https://other.example/v2/key"
    assert settings_from_environment(environment).witness_rpc_url == "https://other.example/v2/key"
    own = environment["EXCHANGE_RPC_URL"]
    for url in (own, own + "/v2", own.replace("//", "//me:key@").replace("node", "NODE"), "other.example"):
        with pytest.raises(SettingsInvalid, match=name):
            settings_from_environment(environment | {name: url})


def test_the_web_app_is_this_checkouts_unless_told_otherwise(environment: dict[str, str]) -> None:
    settings = settings_from_environment(environment)
    assert settings.web_app == Path(__file__).parents[2] / "web" / "dist"
    assert (settings.wallet_rpc_url, settings.has_faucet) == (None, False)
    environment["EXCHANGE_WEB_APP"] = "/srv/app"
    assert settings_from_environment(environment).web_app == Path("/srv/app")


def test_wallets_are_given_a_node_that_everybody_may_be_shown(environment: dict[str, str]) -> None:
    name = "EXCHANGE_WALLET_RPC_URL"
    for url in ("https://node.example", "http://localhost:8545", "https://[::1]:8545/rpc?chain=1"):
        assert settings_from_environment(environment | {name: url}).wallet_rpc_url == url
    wrong = (
        "node.example",
        "ftp://node.example",
        "https://me:key@node.example",
        "https://node.example;",
        "https://n x",
    )
    for url in (*wrong, "https://node.example/\r\nX: y", "https://node.example/#key", "https://*"):
        with pytest.raises(SettingsInvalid, match=name):
            settings_from_environment(environment | {name: url})


def test_settings_do_not_print_their_keys(environment: dict[str, str]) -> None:
    shown = repr(settings_from_environment(environment))
    for key in ("07", "08"):
        assert 4 * key not in shown
        assert f"\\x{key}" not in shown


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("EXCHANGE_DATABASE_URL", ""),
        ("EXCHANGE_CHAIN_ID", "mainnet"),
        ("EXCHANGE_CHAIN_ID", "-1"),
        ("EXCHANGE_CHAIN_ID", "\uff11"),
        ("EXCHANGE_VAULT", "0x1234"),
        ("EXCHANGE_VAULT_BLOCK", "0"),
        ("EXCHANGE_CONFIRMATIONS", "0"),
        ("EXCHANGE_CONFIRMATIONS", "100000"),
        ("EXCHANGE_CONFIRMATIONS", "safe"),
        ("EXCHANGE_ALERT_URL", "alerts.example/hook"),
        ("EXCHANGE_METRICS", "9100"),
        ("EXCHANGE_METRICS", ":9100"),
        ("EXCHANGE_METRICS", "localhost:65536"),
        ("EXCHANGE_METRICS", "localhost:http"),
        ("EXCHANGE_MAX_STREAMS", "0"),
        ("EXCHANGE_MAX_STREAMS", "100001"),
        ("EXCHANGE_ORIGIN", "exchange.example"),
        ("EXCHANGE_ORIGIN", "https://exchange.example/path"),
        ("EXCHANGE_PORT", "65536"),
        ("EXCHANGE_SNAPSHOT_COMMANDS", "0"),
        ("EXCHANGE_SNAPSHOT_MINUTES", "-1"),
        ("EXCHANGE_SNAPSHOTS_KEPT", "101"),
        ("EXCHANGE_LISTING", "/nowhere/listing.toml"),
        ("EXCHANGE_RATE_LIMITS", "/nowhere/rates.toml"),
        ("EXCHANGE_SIGNER_KEYSTORE", "/nowhere/key.json"),
        ("EXCHANGE_KEY_PASSWORD_FILE", "/nowhere/password"),
    ],
)
def test_a_wrong_setting_is_named(environment: dict[str, str], name: str, value: str) -> None:
    with pytest.raises(SettingsInvalid) as refused:
        settings_from_environment({**environment, name: value})
    assert name in str(refused.value)


def test_a_wrong_password_and_a_file_that_is_no_keystore_are_told_apart_from_a_bug(
    environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "password").write_text("wrong")
    with pytest.raises(SettingsInvalid, match="EXCHANGE_SIGNER_KEYSTORE"):
        settings_from_environment(environment)
    (tmp_path / "password").write_text("secret")
    (tmp_path / "signer.json").write_text("[]")
    with pytest.raises(SettingsInvalid, match="EXCHANGE_SIGNER_KEYSTORE"):
        settings_from_environment(environment)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('lot = "0.0001"', 'lot = "1e-4"'),
        ('tick = "0.01"', 'tick = "-1"'),
        ('withdrawal_fee = "1.5"', 'withdrawal_fee = "0.00000001"'),
        (f'token = "{TOKEN}"', 'token = "0xCC"'),
        ('base = "ETH"', 'base = "DOGE"'),
        ("decimals = 6", 'decimals = "6"'),
        ("[[market]]", "[[market]]\nsurprise = 1"),
        ("[[market]]", "[[market"),
    ],
)
def test_a_wrong_listing_is_refused(
    environment: dict[str, str], tmp_path: Path, right: str, wrong: str
) -> None:
    assert right in LISTING
    (tmp_path / "listing.toml").write_text(LISTING.replace(right, wrong))
    with pytest.raises(SettingsInvalid):
        settings_from_environment(environment)


FEE_TIERS = """
[fee_tiers]
quote = "USDC"
volumes = ["100000", "2500000.5"]
"""


def with_fee_tiers(environment: dict[str, str], table: str) -> dict[str, str]:
    Path(environment["EXCHANGE_LISTING"]).write_text(LISTING + table)
    return environment


def test_fee_tiers_are_thresholds_in_atoms_of_one_asset(environment: dict[str, str]) -> None:
    settings = settings_from_environment(with_fee_tiers(environment, FEE_TIERS))
    assert settings.fee_tiers == FeeTierSchedule("USDC", (100_000 * 10**6, 2_500_000_500_000))


def test_without_fee_tiers_nobody_is_moved(environment: dict[str, str]) -> None:
    assert settings_from_environment(environment).fee_tiers is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"USDC"', '"DOGE"'),
        ('["100000", "2500000.5"]', "[]"),
        ('["100000", "2500000.5"]', '["0", "1"]'),
        ('["100000", "2500000.5"]', '["2", "1"]'),
        ('["100000", "2500000.5"]', '["1", "1"]'),
        ('["100000", "2500000.5"]', '["1e6"]'),
        ('["100000", "2500000.5"]', "[100000]"),
        ('["100000", "2500000.5"]', str([str(n) for n in range(1, 17)])),
        ("volumes", "thresholds"),
    ],
)
def test_fee_tiers_that_make_no_sense_are_refused(environment: dict[str, str], old: str, new: str) -> None:
    with pytest.raises(SettingsInvalid):
        settings_from_environment(with_fee_tiers(environment, FEE_TIERS.replace(old, new)))


def test_a_new_withdrawal_address_waits_a_day_unless_it_is_said_otherwise(
    environment: dict[str, str],
) -> None:
    assert settings_from_environment(environment).address_delay_s == 86_400
    for hours, seconds in (("0", 0), ("168", 604_800)):
        environment["EXCHANGE_ADDRESS_DELAY_HOURS"] = hours
        assert settings_from_environment(environment).address_delay_s == seconds


@pytest.mark.parametrize("hours", ["-1", "169", "1.5", "1h", "\uff11", "9" * 5_000])
def test_a_delay_that_makes_no_sense_is_refused(environment: dict[str, str], hours: str) -> None:
    with pytest.raises(SettingsInvalid, match="EXCHANGE_ADDRESS_DELAY_HOURS"):
        settings_from_environment({**environment, "EXCHANGE_ADDRESS_DELAY_HOURS": hours})


NETWORK_FEE = LISTING.replace(
    'withdrawal_fee = "1.5"', 'withdrawal_fee = "network"\nwithdrawal_fee_max = "25"'
)


def with_listing(environment: dict[str, str], listing: str) -> dict[str, str]:
    Path(environment["EXCHANGE_LISTING"]).write_text(listing)
    return environment


def test_a_network_fee_has_a_maximum_at_which_it_begins(environment: dict[str, str]) -> None:
    settings = settings_from_environment(with_listing(environment, NETWORK_FEE))
    assert settings.network_fee_max_atoms == {"USDC": 25_000_000}
    [_, usdc, _] = settings.listing
    assert isinstance(usdc, ListAsset)
    assert (usdc.withdrawal_fee_atoms, usdc.min_withdrawal_atoms) == (25_000_000, 10_000_000)


def test_the_chains_own_coin_may_have_a_network_fee_without_any_market(environment: dict[str, str]) -> None:
    listing = NETWORK_FEE[: NETWORK_FEE.index("[[market]]")].replace(
        f'token = "{TOKEN}"', f'token = "{NATIVE_TOKEN}"'
    )
    settings = settings_from_environment(with_listing(environment, "market = []\n" + listing))
    assert settings.network_fee_max_atoms == {"USDC": 25_000_000}


def test_without_network_fees_no_fee_follows_anything(environment: dict[str, str]) -> None:
    assert settings_from_environment(environment).network_fee_max_atoms == {}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('withdrawal_fee_max = "25"', ""),
        ('withdrawal_fee_max = "25"', 'withdrawal_fee_max = "0"'),
        ('withdrawal_fee_max = "25"', 'withdrawal_fee_max = "2e1"'),
        ('withdrawal_fee_max = "25"', 'withdrawal_fee_max = "0.0000001"'),
        ('withdrawal_fee = "network"', 'withdrawal_fee = "1"'),
        ('withdrawal_fee = "network"', 'withdrawal_fee = "Network"'),
        ('withdrawal_fee = "network"', ""),
        (f'token = "{NATIVE_TOKEN}"', 'token = "0x' + "ee" * 20 + '"'),
    ],
)
def test_a_network_fee_that_makes_no_sense_is_refused(
    environment: dict[str, str], old: str, new: str
) -> None:
    assert old in NETWORK_FEE
    with pytest.raises(SettingsInvalid):
        settings_from_environment(with_listing(environment, NETWORK_FEE.replace(old, new)))


def test_without_a_contract_of_roots_proofs_are_not_published(environment):
    settings = settings_from_environment(environment)
    assert (settings.balance_roots, settings.publisher_key) == (None, None)
    assert settings.proofs.every_s == 24 * 3_600


def test_roots_are_published_with_contract_and_key(environment, tmp_path):
    settings = settings_from_environment(
        environment
        | {
            "EXCHANGE_BALANCE_ROOTS": "0x" + "Cd" * 20,
            "EXCHANGE_PUBLISHER_KEYSTORE": str(tmp_path / "publisher.json"),
            "EXCHANGE_PROOF_HOURS": "6",
        }
    )
    assert settings.balance_roots == "0x" + "cd" * 20
    assert settings.publisher_key == b"\x0a" * 32
    assert settings.proofs.every_s == 6 * 3_600


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"EXCHANGE_BALANCE_ROOTS": "0x" + "cd" * 20}, "EXCHANGE_PUBLISHER_KEYSTORE"),
        ({"EXCHANGE_PUBLISHER_KEYSTORE": "/nowhere"}, "EXCHANGE_BALANCE_ROOTS"),
        ({"EXCHANGE_BALANCE_ROOTS": "nowhere"}, "EXCHANGE_BALANCE_ROOTS"),
        ({"EXCHANGE_PROOF_HOURS": "0"}, "EXCHANGE_PROOF_HOURS"),
        ({"EXCHANGE_PROOF_HOURS": "169"}, "EXCHANGE_PROOF_HOURS"),
    ],
)
def test_settings_of_proofs_that_do_not_go_together_are_named(environment, changes, named):
    with pytest.raises(SettingsInvalid) as caught:
        settings_from_environment(environment | changes)
    assert caught.value.name == named


@pytest.mark.parametrize(
    ("role", "other"),
    [
        (role, other)
        for role in ROLES
        for other in ROLES
        if list(ROLES).index(role) < list(ROLES).index(other)
    ],
)
def test_one_key_in_two_roles_is_refused(environment, tmp_path, keystores, role, other):
    environment |= {
        "EXCHANGE_DEPOSIT_ADDRESSES": "0x" + "cd" * 20,
        "EXCHANGE_SWEEPER_KEYSTORE": str(tmp_path / "sweeper.json"),
        "EXCHANGE_BALANCE_ROOTS": "0x" + "cd" * 20,
        "EXCHANGE_PUBLISHER_KEYSTORE": str(tmp_path / "publisher.json"),
    }
    settings_from_environment(environment)
    (tmp_path / f"{other}.json").write_text(keystores[role])
    with pytest.raises(SettingsInvalid, match=f"same key as EXCHANGE_{role.upper()}_KEYSTORE") as refused:
        settings_from_environment(environment)
    assert refused.value.name == f"EXCHANGE_{other.upper()}_KEYSTORE"


def test_a_cluster_of_clickhouse_is_named_or_the_server_is_alone(environment: dict[str, str]) -> None:
    assert settings_from_environment(environment).clickhouse_cluster is None
    environment["EXCHANGE_CLICKHOUSE_CLUSTER"] = "market_data-1"
    assert settings_from_environment(environment).clickhouse_cluster == "market_data-1"


NO_NAMES = ["a b", "a`", "1a", "-a", "a'; DROP TABLE trades; --", "ä", "a" * 64, "{shard}", "a\n"]


@pytest.mark.parametrize("name", NO_NAMES)
def test_a_cluster_that_can_not_be_called_so_is_refused(environment: dict[str, str], name: str) -> None:
    environment["EXCHANGE_CLICKHOUSE_CLUSTER"] = name
    with pytest.raises(SettingsInvalid, match=r"EXCHANGE_CLICKHOUSE_CLUSTER.*not a name"):
        settings_from_environment(environment)


def test_a_folder_is_no_cluster(environment: dict[str, str]) -> None:
    environment |= {"EXCHANGE_CLICKHOUSE": "/var/lib/clickhouse", "EXCHANGE_CLICKHOUSE_CLUSTER": "main"}
    with pytest.raises(SettingsInvalid, match="EXCHANGE_CLICKHOUSE must be a server"):
        settings_from_environment(environment)
