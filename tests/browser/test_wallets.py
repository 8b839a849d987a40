"""A wallet is made, kept, locked, unlocked and connected; and what does not go well."""

import re
from collections.abc import Callable

import pytest
from eth_account import Account
from playwright.sync_api import BrowserContext, Page, expect
from tests.browser import steps
from tests.browser.injected_wallet import InjectedWallet
from tests.browser.passkeys import Passkeys
from tests.browser.watch import Watch

FILE_PASSWORD = "of the file, not of the wallet 3"


def test_a_wallet_is_made_with_a_password(page: Page) -> None:
    steps.open_market(page)
    steps.make_wallet_with_password(page)
    steps.open_page(page, "Wallet")
    expect(page.get_by_role("main").get_by_text(re.compile("0x[0-9a-fA-F]{4}")).first).to_be_visible()


def test_a_wallet_is_made_with_a_passkey(page: Page, passkeys: Passkeys) -> None:
    steps.open_market(page)
    steps.make_wallet_with_passkey(page)
    assert len(passkeys.credentials()) == 1


def test_a_passkey_unlocks_after_a_reload(page: Page, passkeys: Passkeys) -> None:
    steps.open_market(page)
    steps.make_wallet_with_passkey(page)
    steps.lock(page)
    page.reload()
    dialog = steps.start(page)
    dialog.get_by_role("button", name="Unlock with passkey").click()
    steps.wait_until_signed_in(page)


def test_a_passkey_that_says_no_unlocks_nothing(page: Page, passkeys: Passkeys) -> None:
    steps.open_market(page)
    steps.make_wallet_with_passkey(page)
    steps.lock(page)
    passkeys.verify_person(False)
    dialog = steps.start(page)
    dialog.get_by_role("button", name="Unlock with passkey").click()
    expect(dialog.get_by_role("alert")).to_be_visible(timeout=90_000)
    expect(dialog.get_by_role("button", name="Unlock with passkey")).to_be_enabled()
    expect(steps.account(page)).to_have_count(0)


def test_a_passkey_has_a_name_to_find_it_by(page: Page, passkeys: Passkeys) -> None:
    steps.open_market(page)
    steps.make_wallet_with_passkey(page)
    steps.open_page(page, "Wallet")
    methods = page.get_by_role("region", name="What unlocks it")
    methods.get_by_role("button", name=re.compile(r"^Rename \w+ on \w+")).click()
    methods.get_by_label("Name of the passkey").fill("The blue one")
    methods.get_by_label("Name of the passkey").press("Enter")
    expect(methods.get_by_text("The blue one")).to_be_visible()
    page.reload()
    expect(methods.get_by_text("The blue one")).to_be_visible()


def test_an_extension_is_connected(page: Page, injected: InjectedWallet) -> None:
    steps.open_market(page)
    steps.connect_injected(page)
    expect(steps.account(page)).to_have_accessible_name(re.compile(injected.address[-4:], re.IGNORECASE))
    assert "personal_sign" in injected.asked


def test_a_refused_signature_is_no_error(page: Page, injected: InjectedWallet) -> None:
    steps.open_market(page)
    injected.refuses = True
    dialog = steps.start(page)
    dialog.get_by_role("button", name="Use a browser wallet").click()
    dialog.get_by_role("button", name="Test Wallet").click()
    expect(steps.account(page)).to_have_count(0)
    injected.refuses = False
    expect(dialog.get_by_role("button", name="Test Wallet")).to_be_enabled()
    dialog.get_by_role("button", name="Test Wallet").click()
    steps.wait_until_signed_in(page)


def test_a_reload_keeps_the_session_and_locking_ends_it(page: Page) -> None:
    steps.open_market(page)
    steps.make_wallet_with_password(page)
    page.reload()
    expect(steps.account(page)).to_be_visible()
    steps.lock(page)
    page.reload()
    expect(page.get_by_role("banner").get_by_role("button", name="Start trading")).to_be_visible()
    steps.unlock(page)


def test_a_wrong_password_is_told_beside_the_field(page: Page) -> None:
    steps.open_market(page)
    steps.make_wallet_with_password(page)
    steps.lock(page)
    dialog = steps.start(page)
    field = dialog.get_by_label("Password", exact=True)
    field.fill("not the password 7")
    dialog.get_by_role("button", name="Unlock", exact=True).click()
    expect(field).to_have_attribute("aria-invalid", "true", timeout=30_000)
    field.fill(steps.PASSWORD)
    dialog.get_by_role("button", name="Unlock", exact=True).click()
    steps.wait_until_signed_in(page)


def test_deposit_addresses_stay_hidden_until_the_backup_is_confirmed(page: Page) -> None:
    steps.open_market(page)
    steps.make_wallet_with_password(page)
    steps.open_page(page, "Funds")
    page.get_by_role("button", name="Deposit", exact=True).first.click()
    dialog = page.get_by_role("dialog", name="Deposit")
    dialog.get_by_role("tab", name="To your deposit address").click()
    address = dialog.get_by_text(re.compile("^0x[0-9a-fA-F]{40}$"))
    expect(dialog.get_by_role("button", name=re.compile("[Bb]ack"))).to_be_visible()
    expect(address).to_have_count(0)
    dialog.get_by_role("button", name="Close", exact=True).first.click()
    steps.back_up(page)
    page.get_by_role("button", name="Deposit", exact=True).first.click()
    dialog.get_by_role("tab", name="To your deposit address").click()
    expect(address.first).to_be_visible()
    expect(dialog.get_by_role("img", name=re.compile("QR|address", re.IGNORECASE)).first).to_be_visible()


def test_locking_in_one_tab_takes_the_words_off_the_other(page: Page, watch: Watch) -> None:
    watch.allow(r"^401 ")
    steps.open_market(page)
    steps.make_wallet_with_password(page)
    page.get_by_role("button", name="Back up", exact=True).first.click()
    dialog = page.get_by_role("dialog", name="Back up your wallet")
    dialog.get_by_label("Password", exact=True).fill(steps.PASSWORD)
    dialog.get_by_role("button", name="Show the words").click()
    steps.phrase_words(dialog)
    other = steps.other_tab(page, "/portfolio")
    steps.lock(other)
    page.bring_to_front()
    expect(dialog).to_have_count(0, timeout=30_000)
    expect(page.get_by_role("list", name="Recovery phrase")).to_have_count(0)


def test_a_phrase_brings_the_wallet_to_another_browser(
    page: Page, new_visitor: Callable[..., BrowserContext]
) -> None:
    steps.open_market(page)
    steps.make_wallet_with_password(page)
    address = steps.address(page)
    steps.open_page(page, "Wallet")
    page.get_by_role("button", name="Show the recovery phrase").click()
    steps.sign(page, verb="Show")
    phrase = " ".join(steps.phrase_words(page.get_by_role("dialog")))
    other = new_visitor().new_page()
    steps.open_market(other)
    dialog = steps.start(other)
    dialog.get_by_role("button", name="I have a phrase or keystore").click()
    dialog.get_by_label("Recovery phrase").fill(phrase)
    dialog.get_by_role("button", name="Continue").click()
    dialog.get_by_label("Password", exact=True).fill("another fine sentence 9")
    dialog.get_by_role("button", name="Keep it here").click()
    steps.wait_until_signed_in(other)
    assert steps.address(other) == address


def test_a_keystore_file_is_one_that_others_can_read(page: Page) -> None:
    steps.open_market(page)
    steps.make_wallet_with_password(page)
    steps.open_page(page, "Wallet")
    page.get_by_role("button", name="Download a keystore file").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Password of the file").fill(FILE_PASSWORD)
    with page.expect_download(timeout=90_000) as download:
        steps.sign(page, verb="Download")
    key = Account.decrypt(download.value.path().read_text(), FILE_PASSWORD)
    assert Account.from_key(key).address.lower() == steps.address(page).lower()


def test_a_file_that_is_no_keystore_is_not_read_into_the_page(page: Page) -> None:
    steps.open_market(page)
    dialog = steps.start(page)
    dialog.get_by_role("button", name="I have a phrase or keystore").click()
    dialog.get_by_role("radio", name="Keystore file").check()
    chosen = {"name": "film.json", "mimeType": "application/json", "buffer": b"[" * 30_000}
    dialog.locator("input[type=file]").set_input_files(files=[chosen])
    field = dialog.get_by_role("textbox", name="Keystore file", exact=True)
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_value("")
    expect(dialog.get_by_text("too long for a keystore")).to_be_visible()


def test_a_second_wallet_has_another_name_than_the_first(page: Page) -> None:
    steps.open_market(page)
    steps.make_wallet_with_password(page)
    steps.lock(page)
    dialog = steps.start(page)
    dialog.get_by_role("button", name="Use another wallet, or your phrase").click()
    dialog.get_by_role("button", name="Make a wallet").click()
    expect(dialog.get_by_label("Wallet name")).to_have_value("My wallet 2")


@pytest.mark.parametrize("word", ["password", "12345678"])
def test_a_password_that_is_easily_guessed_is_not_taken(page: Page, word: str) -> None:
    steps.open_market(page)
    field = steps.ask_for_wallet(page, word)
    expect(field).to_have_attribute("aria-invalid", "true")


def test_signed_out_in_one_tab_is_signed_out_in_the_other(page: Page, watch: Watch) -> None:
    watch.allow(r"^401 ")
    steps.open_market(page)
    steps.make_wallet_with_password(page)
    other = steps.other_tab(page, "/portfolio")
    steps.lock(page)
    other.bring_to_front()
    expect(other.get_by_role("banner").get_by_role("button", name="Start trading")).to_be_visible(
        timeout=30_000
    )


def test_signing_out_revokes_the_key_of_this_browser_and_locking_keeps_it(page: Page) -> None:
    steps.open_market(page)
    steps.make_wallet_with_password(page)
    steps.enable_trading(page)
    steps.lock(page)
    steps.unlock(page)
    expect(steps.trading_keys(page)).to_contain_text(["Active"])
    steps.sign_out(page)
    expect(steps.toast(page, "The key that this browser traded with is revoked.")).to_be_visible()
    steps.unlock(page)
    expect(steps.trading_keys(page)).to_contain_text(["Revoked"])


def test_a_deleted_wallet_leaves_no_key_that_trades(page: Page, watch: Watch) -> None:
    """Also when the exchange can not be told: it says so, and tells it when the wallet is here again."""
    watch.allow_disconnection()
    page.add_init_script(steps.TOASTS_STAY)
    steps.open_market(page)
    steps.make_wallet_with_password(page)
    steps.enable_trading(page)
    phrase = phrase_of(page)
    page.route("**/v1/agents/*", lambda route: route.abort())
    page.get_by_role("button", name="Delete the wallet").click()
    dialog = page.get_by_role("dialog", name=re.compile("^Delete "))
    dialog.get_by_role("textbox").fill("delete")
    dialog.get_by_role("button", name="Delete", exact=True).click()
    expect(steps.toast(page, re.compile("is deleted from this browser"))).to_be_visible()
    expect(steps.toast(page, re.compile("could not be told.* it is erased here"))).to_be_visible()
    page.unroute("**/v1/agents/*")
    dialog = steps.start(page)
    dialog.get_by_role("button", name="I have a phrase or keystore").click()
    bring_back(page, phrase)
    expect(steps.trading_keys(page)).to_contain_text(["Revoked"])


DAMAGE = """(damage) => new Promise((resolve, reject) => {
  const opening = indexedDB.open("exchange-vault");
  opening.onsuccess = () => {
    const transaction = opening.result.transaction("wallets", "readwrite");
    const wallets = transaction.objectStore("wallets");
    wallets.getAll().onsuccess = (event) => {
      const [wallet] = event.target.result;
      wallets.put(damage === "record" ? { ...wallet, methods: [] }
        : damage === "version" ? { ...wallet, version: 99 }
        : { ...wallet, secret: { ...wallet.secret, data: { hex: "00".repeat(40) } } });
    };
    transaction.oncomplete = () => { opening.result.close(); resolve(); };
    transaction.onabort = () => reject(transaction.error);
  };
})"""


def test_a_damaged_wallet_is_told_as_damaged_and_comes_back_by_its_phrase(page: Page) -> None:
    steps.open_market(page)
    steps.make_wallet_with_password(page)
    phrase = phrase_of(page)
    page.evaluate(DAMAGE, "record")
    page.reload()
    damaged = page.get_by_role("group", name=re.compile("^Damaged wallet: My wallet"))
    expect(damaged).to_contain_text("is damaged")
    expect(page.get_by_text("Outside of this page")).to_have_count(0)
    damaged.get_by_role("button", name="Bring it back").click()
    bring_back(page, phrase)
    expect(damaged).to_have_count(0)
    expect(page.get_by_text("In this browser")).to_be_visible()


def test_a_damaged_wallet_can_be_removed(page: Page) -> None:
    steps.open_market(page)
    steps.make_wallet_with_password(page)
    steps.lock(page)
    page.evaluate(DAMAGE, "version")
    page.reload()
    dialog = steps.start(page)
    damaged = dialog.get_by_role("group", name=re.compile("^Damaged wallet: My wallet"))
    expect(damaged).to_contain_text("was kept by a newer app")
    damaged.get_by_role("button", name="Remove it").click()
    question = page.get_by_role("dialog", name="Remove what is kept of it?")
    question.get_by_role("button", name="Remove it").click()
    expect(damaged).to_have_count(0)
    expect(dialog.get_by_role("button", name="Make a wallet")).to_be_visible()
    page.reload()
    expect(steps.start(page).get_by_role("group")).to_have_count(0)


def test_a_wallet_whose_secret_is_damaged_offers_the_ways_out_when_it_is_unlocked(page: Page) -> None:
    steps.open_market(page)
    steps.make_wallet_with_password(page)
    phrase = phrase_of(page)
    steps.open_page(page, "Portfolio")
    steps.lock(page)
    page.evaluate(DAMAGE, "secret")
    dialog = steps.start(page)
    dialog.get_by_label("Password", exact=True).fill(steps.PASSWORD)
    dialog.get_by_role("button", name="Unlock", exact=True).click()
    damaged = dialog.get_by_role("group", name=re.compile("^Damaged wallet: My wallet"))
    expect(damaged).to_be_visible(timeout=30_000)
    damaged.get_by_role("button", name="Bring it back").click()
    bring_back(page, phrase)


def phrase_of(page: Page) -> str:
    """The recovery phrase of the wallet in the page, as its page shows it."""
    steps.open_page(page, "Wallet")
    page.get_by_role("button", name="Show the recovery phrase").click()
    steps.sign(page, verb="Show")
    dialog = page.get_by_role("dialog")
    phrase = " ".join(steps.phrase_words(dialog))
    dialog.get_by_role("button", name="Close").first.click()
    return phrase


def bring_back(page: Page, phrase: str) -> None:
    """By its phrase; the dialog for it is open."""
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Recovery phrase").fill(phrase)
    dialog.get_by_role("button", name="Continue").click()
    dialog.get_by_label("Password", exact=True).fill(steps.PASSWORD)
    dialog.get_by_role("button", name="Keep it here").click()
    steps.wait_until_signed_in(page)
