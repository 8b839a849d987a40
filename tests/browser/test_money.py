"""Money that does not go straight: reviewed, rejected, undeliverable, without a permit, lost from sight.

On a devnet without bots where a person looks at withdrawals of more than 100 USDC. The first money that comes
there is the `proven` wallet's, so the one proof of the day has it.
"""

import contextlib
import itertools
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, Route, expect
from tests.browser import steps
from tests.browser.accessibility import violations
from tests.browser.conftest import BUILD
from tests.browser.injected_wallet import InjectedWallet
from tests.browser.watch import Watch

from exchange.chain.vault import selector
from exchange.testing import DevnetOptions, DevnetStarter
from exchange.testing_devnet.chain import DevChain
from exchange.testing_devnet.devnet import Devnet

SCREENSHOTS = BUILD / "screenshots"
OTHER = "0x" + "0e" * 20
SOON_S = 180
"""A deadline that the exchange still takes."""

NewVisitor = Callable[..., BrowserContext]


@pytest.fixture(scope="module")
def money(exchange_devnet_of: DevnetStarter) -> Iterator[Devnet]:
    with exchange_devnet_of(DevnetOptions(arguments=("--review-above", "USDC=100"))) as devnet:
        yield devnet


@pytest.fixture(scope="module")
def proven(money: Devnet) -> InjectedWallet:
    """Whose balance is in the proof."""
    wallet = InjectedWallet(money.rpc_url)
    for owner, amount in ((wallet.address, 3), (OTHER, 2)):  # the first is in it, the other as a rule
        money.chain.deposit(owner, "ETH", amount)
    return wallet


@pytest.fixture
def visitor(new_visitor: NewVisitor, money: Devnet, proven: InjectedWallet) -> Page:
    """A stranger on the page of funds; the first money has come before."""
    page = new_visitor(bypass_csp=True).new_page()
    page.goto(f"{money.url}/funds")
    return page


@pytest.fixture
def saver(visitor: Page) -> Page:
    """Somebody with a wallet in the page."""
    steps.make_wallet_with_password(visitor)
    return visitor


@pytest.fixture
def holder(new_visitor: NewVisitor, money: Devnet, proven: InjectedWallet) -> Page:
    """Somebody with an extension that agrees to everything, 20 ETH on chain and 1000 USDC at the exchange."""
    context = new_visitor()
    wallet = InjectedWallet(money.rpc_url)
    wallet.install(context)
    money.chain.give(wallet.address, "ETH", 20)
    money.chain.deposit(wallet.address, "USDC", 1_000)
    page = context.new_page()
    page.goto(f"{money.url}/funds")
    steps.connect_injected(page)
    expect(balance(page, "USDC")).to_contain_text("1,000", timeout=steps.CHAIN_MS)
    return page


def balance(page: Page, asset: str) -> Locator:
    return page.get_by_role("region", name="Balances").get_by_role("row", name=re.compile(f"^{asset} "))


def withdrawals(page: Page) -> Locator:
    return page.get_by_role("region", name="Withdrawals", exact=True)


def deposits(page: Page) -> Locator:
    return page.get_by_role("region", name="Deposits", exact=True)


def said(region: Locator, word: str) -> Locator:
    """What an entry of the list is said to be: the same word in its steps says what is to come."""
    return region.get_by_text(word, exact=True)


def mine_until(chain: DevChain, shown: Locator) -> None:
    """Waits with blocks as fast as they can be had: what counts them need not wait for a clock."""
    deadline = time.monotonic() + steps.CHAIN_MS / 1_000
    while not shown.is_visible() and time.monotonic() < deadline:
        chain.mine()
        shown.page.wait_for_timeout(250)
    expect(shown).to_be_visible()


def look(page: Page, name: str) -> None:
    """Into a file, to be looked at."""
    page.screenshot(path=SCREENSHOTS / f"money-{name}.png")


def operator(devnet: Devnet, *arguments: str) -> None:
    """`exchange withdrawals`, as a person types it."""
    place = ("--data-dir", str(devnet.process.data_dir))
    command = (sys.executable, "-m", "exchange.cli", "withdrawals", *arguments, *place)
    environment = {name: value for name, value in os.environ.items() if name != "EXCHANGE_DATABASE_URL"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def withdrawal_id(page: Page) -> str:
    """Of the only withdrawal, by what the page shows of it."""
    shown = withdrawals(page).get_by_title(re.compile("^0x[0-9a-f]{64}$"))
    expect(shown).to_have_count(1)
    return str(shown.get_attribute("title"))


def ask_large_withdrawal(page: Page) -> None:
    dialog = steps.fill_withdrawal(page, "USDC", "250")
    expect(dialog.get_by_text("A person looks at this one first")).to_be_visible()
    dialog.get_by_role("button", name="Withdraw 250 USDC").click()
    expect(dialog.get_by_text("A person looks at it first")).to_be_visible(timeout=steps.CHAIN_MS)
    look(page, "review-dialog")
    dialog.get_by_role("button", name="Close", exact=True).last.click()
    expect(said(withdrawals(page), "In review")).to_be_visible()


# ---- withdrawals


def test_a_large_withdrawal_is_looked_at_and_paid(holder: Page, money: Devnet) -> None:
    ask_large_withdrawal(holder)
    look(holder, "review")
    operator(money, "--approve", withdrawal_id(holder), "--by", "Ada")
    mine_until(money.chain, said(withdrawals(holder), "Settled"))
    expect(balance(holder, "USDC")).to_contain_text("750")
    withdrawals(holder).get_by_text("250 USDC").first.click()
    expect(withdrawals(holder).get_by_text("The destination has it.")).to_be_visible()
    look(holder, "review-paid")


def test_a_rejected_withdrawal_comes_back_after_its_deadline(holder: Page, money: Devnet) -> None:
    holder.route("**/v1/withdrawals/quote?*", with_near_deadline)
    ask_large_withdrawal(holder)
    operator(money, "--reject", withdrawal_id(holder), "--note", "please call us first", "--by", "Ada")
    expect(said(withdrawals(holder), "Rejected")).to_be_visible(timeout=steps.CHAIN_MS)
    expect(withdrawals(holder)).to_contain_text("Please call us first. It will not be paid.")
    expect(balance(holder, "USDC")).to_contain_text("750")
    look(holder, "rejected")
    money.chain.advance_time(SOON_S + 60)
    mine_until(money.chain, said(withdrawals(holder), "Refunded"))
    expect(balance(holder, "USDC")).to_contain_text("1,000")
    withdrawals(holder).get_by_text("250 USDC").first.click()
    expect(withdrawals(holder).get_by_text("The whole amount is back in your balance")).to_be_visible()
    expect(withdrawals(holder).get_by_text("Please call us first.")).to_be_visible()
    look(holder, "refunded")


def with_near_deadline(route: Route) -> None:
    """A quote to sign for some minutes instead of a day, so that the chain's clock need not go far ahead."""
    answer = route.fetch()
    quote = answer.json()
    if quote.get("to_sign"):
        deadline_s = int(time.time()) + SOON_S
        message = quote["to_sign"]["typed_data"]["message"]
        message["deadline"] = type(message["deadline"])(deadline_s)
        quote["to_sign"]["request"]["deadline_s"] = deadline_s
    route.fulfill(response=answer, json=quote)


def test_what_its_destination_does_not_take_is_claimed_from_the_vault(saver: Page, money: Devnet) -> None:
    address = steps.address(saver)
    money.chain.give(address, "ETH", 1)
    money.chain.deposit(address, "ETH", 2)
    expect(balance(saver, "ETH")).to_contain_text("2", timeout=steps.CHAIN_MS)
    refusing = money.chain.assets["USDC"].token  # a contract that takes no coins
    dialog = steps.fill_withdrawal(saver, "ETH", "0.5", to=refusing)
    dialog.get_by_role("button", name="Withdraw 0.5 ETH").click()
    steps.sign(saver)
    mine_until(money.chain, dialog.get_by_text("Claim the amount from the vault"))
    look(saver, "undelivered-dialog")
    dialog.get_by_role("button", name="Done").click()
    expect(said(withdrawals(saver), "To be claimed")).to_be_visible()
    assert violations(saver) == []
    look(saver, "undelivered")
    withdrawals(saver).get_by_role("button", name="Claim 0.5 ETH").click()
    send(saver, "Claim 0.5 ETH from the vault", "claim")
    expect(steps.toast(saver, "0.5 ETH went to your wallet.")).to_be_visible(timeout=steps.CHAIN_MS)
    expect(said(withdrawals(saver), "Claimed")).to_be_visible()
    assert money.chain.balance(address, "ETH") > 1
    saver.reload()
    expect(said(withdrawals(saver), "Claimed")).to_be_visible()
    look(saver, "claimed")


def test_a_withdrawal_without_an_answer_outlives_a_reload(holder: Page, money: Devnet, watch: Watch) -> None:
    watch.allow(r"^failed POST /v1/withdrawals", r"^console: Failed to load", r"^404 GET /v1/withdrawals/0x")
    holder.route("**/v1/withdrawals", lambda route: route.abort())  # but reads go on
    dialog = steps.ask_withdrawal(holder, "USDC", "50")
    expect(dialog.get_by_text("Handed in to the exchange.")).to_be_visible()
    holder.reload()
    doubt = withdrawals(holder).get_by_text("Do not sign another one.")
    expect(doubt).to_be_visible()
    look(holder, "unanswered")
    holder.unroute("**/v1/withdrawals")
    with money.chain.standing_still():
        withdrawals(holder).get_by_role("button", name="Look again").click()
        expect(withdrawals(holder)).to_contain_text("It waits for a block.", timeout=steps.CHAIN_MS)
        expect(doubt).to_have_count(0)
        holder.reload()
        expect(withdrawals(holder)).to_contain_text("It waits for a block.")
        expect(doubt).to_have_count(0)
    mine_until(money.chain, said(withdrawals(holder), "Settled"))
    expect(balance(holder, "USDC")).to_contain_text("950")


def test_a_withdrawal_whose_fee_has_risen_is_signed_again_as_it_is(holder: Page, money: Devnet) -> None:
    dialog = steps.fill_withdrawal(holder, "USDC", "50")
    dialog.get_by_label("Amount", exact=True).fill("50.0")
    highest = itertools.count(1)
    holder.route("**/v1/withdrawals/quote?*", lambda route: with_higher_fee(route, next(highest)))
    dialog.get_by_role("button", name="Withdraw 50 USDC").click()
    expect(dialog.get_by_text("The fee has just risen.")).to_be_visible(timeout=steps.CHAIN_MS)
    look(holder, "fee-risen")
    holder.unroute("**/v1/withdrawals/quote?*")
    with holder.expect_response("**/v1/withdrawals/quote?*", timeout=steps.CHAIN_MS):
        pass  # it is asked for again and again
    dialog.get_by_role("button", name="Withdraw 50 USDC").click()
    mine_until(money.chain, dialog.get_by_text("Your withdrawal has been paid."))


def test_what_a_withdrawal_comes_to_is_of_what_is_entered_now(holder: Page) -> None:
    dialog = steps.fill_withdrawal(holder, "USDC", "50")
    dialog.get_by_label("To", exact=True).select_option(label="Another address")
    dialog.get_by_label("Address", exact=True).fill(OTHER.removesuffix("0e"))  # for this there is no quote
    dialog.get_by_label("Amount", exact=True).fill("7")
    receives = dialog.get_by_role("definition").filter(has_text=re.compile(r"^\d+ USDC$"))
    expect(receives.last).to_have_text("7 USDC")


def with_higher_fee(route: Route, highest: int) -> None:
    answer = route.fetch()
    route.fulfill(response=answer, json=answer.json() | {"max_fee": str(highest)})


# ---- deposits


def test_a_token_without_permits_is_approved_and_then_deposited(saver: Page, money: Devnet) -> None:
    chain, address = money.chain, steps.address(saver)
    chain.give(address, "ETH", 1)
    chain.give(address, "WBTC", "0.5")
    with no_permits(chain, "WBTC"):
        dialog = steps.ask_deposit(saver, "WBTC", "0.2")
        send(saver, "Let the vault take 0.2 WBTC", "approve")
        send(saver, "Deposit 0.2 WBTC", "approved")
        mine_until(chain, dialog.get_by_text("Your deposit is credited"))
        look(saver, "approve-credited")
    allowance = selector("allowance(address,address)").hex() + word(address) + word(chain.vault)
    call = {"to": chain.assets["WBTC"].token, "data": f"0x{allowance}"}
    assert int(chain.rpc("eth_call", call, "latest"), 16) == 0  # exactly what was deposited, nothing more


def test_all_that_is_signed_can_be_reached_without_a_mouse(saver: Page, money: Devnet) -> None:
    address = steps.address(saver)
    money.chain.give(address, "ETH", 1)
    money.chain.give(address, "USDC", 20)
    steps.ask_deposit(saver, "USDC", "20")
    permit = saver.get_by_role("dialog", name="Let the vault take 20 USDC")
    expect(permit).to_be_visible(timeout=steps.CHAIN_MS)
    expect(steps.toast(saver, "is ready")).to_have_count(0)  # it would lie over it on a phone
    wait_until_still(permit)
    assert violations(saver) == []
    steps.sign(saver)
    dialog = saver.get_by_role("dialog", name="Deposit 20 USDC")
    expect(dialog.get_by_role("button", name="Sign and send", exact=True)).to_be_enabled(
        timeout=steps.CHAIN_MS
    )
    wait_until_still(dialog)
    assert violations(saver) == []


def wait_until_still(dialog: Locator) -> None:
    """It has come up, and its button is no longer dim: on the way there all is half transparent."""
    dialog.evaluate("""
        (dialog) => Promise.all(
            dialog.getAnimations({ subtree: true })
                .filter((each) => each.effect.getComputedTiming().endTime !== Infinity)
                .map((each) => each.finished.catch(() => null)),
        ).then(() => null)
    """)


def word(address: str) -> str:
    return address.removeprefix("0x").lower().rjust(64, "0")


@contextlib.contextmanager
def no_permits(chain: DevChain, symbol: str) -> Iterator[None]:
    """The token is one of before ERC-2612: its code no longer finds the functions that permits need."""
    token = chain.assets[symbol].token
    before = code = str(chain.rpc("eth_getCode", token, "latest"))
    permit = "permit(address,address,uint256,uint256,uint8,bytes32,bytes32)"
    for function in (permit, "DOMAIN_SEPARATOR()", "nonces(address)"):
        is_it = f"63{selector(function).hex()}14"  # PUSH4 selector, EQ
        assert code.count(is_it) == 1, function
        code = code.replace(is_it, "63ffffffff14")
    chain.rpc("anvil_setCode", token, code)
    try:
        yield
    finally:
        chain.rpc("anvil_setCode", token, before)


def send(page: Page, title: str, name: str) -> None:
    """Agrees to a transaction that the wallet in the page shows."""
    dialog = page.get_by_role("dialog", name=title, exact=True)
    button = dialog.get_by_role("button", name="Sign and send", exact=True)
    expect(button).to_be_visible(timeout=steps.CHAIN_MS)
    look(page, name)
    dialog.get_by_label("Password", exact=True).fill(steps.PASSWORD)
    expect(button).to_be_enabled(timeout=steps.CHAIN_MS)
    button.click()
    expect(dialog).to_have_count(0, timeout=steps.CHAIN_MS)


def test_deposits_that_no_block_has_yet_outlive_a_reload(holder: Page, money: Devnet) -> None:
    chain = money.chain
    with chain.standing_still():
        hashes = [send_deposit(holder, chain, amount) for amount in ("2", "3")]
        holder.reload()
        expect(deposits(holder).get_by_text("Sent. It waits for a block.")).to_have_count(2)
        look(holder, "deposits-waiting")
        chain.rpc("anvil_dropTransaction", hashes[1])
        expect(deposits(holder)).to_contain_text("the chain's node does not know of it now")
        expect(said(deposits(holder), "Not found")).to_have_count(1)
        look(holder, "deposit-not-found")
        deposits(holder).get_by_role("button", name="Remove from this list").click()
        expect(said(deposits(holder), "Not found")).to_have_count(0)
    expect(balance(holder, "ETH")).to_contain_text("2", timeout=steps.CHAIN_MS)
    expect(deposits(holder).get_by_text("2 ETH", exact=True)).to_have_count(1)
    expect(said(deposits(holder), "Credited")).to_have_count(2)  # and the one in USDC
    holder.reload()
    expect(said(deposits(holder), "Credited")).to_have_count(2)
    assert holder.evaluate("sessionStorage.length") == 0  # the exchange remembers them now


def send_deposit(page: Page, chain: DevChain, amount: str) -> str:
    """From the extension's wallet; the hash of a transaction that waits for a block."""
    known = pool(chain)
    dialog = steps.ask_deposit(page, "ETH", amount)
    expect(dialog.get_by_text("Sent. It waits for a block.")).to_be_visible()
    dialog.get_by_role("button", name="Close", exact=True).last.click()
    [tx_hash] = pool(chain) - known
    return tx_hash


def pool(chain: DevChain) -> set[str]:
    """Hashes of what waits for a block."""
    waiting = chain.rpc("txpool_content")["pending"]
    return {each["hash"] for by_nonce in waiting.values() for each in by_nonce.values()}


def test_a_deposit_that_its_wallet_cancels_is_not_waited_for(holder: Page, money: Devnet) -> None:
    chain = money.chain
    with chain.standing_still():
        with holder.expect_request(
            lambda request: "eth_getTransactionByHash" in (request.post_data or "")
        ) as asked:
            tx_hash = send_deposit(holder, chain, "2")
        asked.value.response()  # from here on the page would know another one in its place
        sent = chain.rpc("eth_getTransactionByHash", tx_hash)
        instead = {name: sent[name] for name in ("from", "nonce", "gas")} | {
            "to": sent["from"],
            "value": "0x0",
        }
        fee = {name: hex(3 * int(sent[name], 16)) for name in ("maxFeePerGas", "maxPriorityFeePerGas")}
        chain.rpc("anvil_impersonateAccount", sent["from"])
        chain.rpc("eth_sendTransaction", instead | fee)
        chain.rpc("anvil_stopImpersonatingAccount", sent["from"])
    expect(deposits(holder)).to_contain_text("another transaction in place", timeout=steps.CHAIN_MS)
    look(holder, "deposit-cancelled")


def test_test_funds_that_nobody_waited_for_come_all_the_same(saver: Page) -> None:
    with saver.expect_request("**/v1/faucet"):
        saver.get_by_role("button", name="Get test funds").first.click()
    saver.reload()
    saver.get_by_role("button", name="Deposit USDC", exact=True).click()
    dialog = saver.get_by_role("dialog", name="Deposit")
    expect(dialog.get_by_text("In your wallet: 25,000 USDC")).to_be_visible(timeout=steps.CHAIN_MS)


# ---- the proof


def test_a_proof_is_right_and_a_changed_one_is_not(
    new_visitor: NewVisitor, money: Devnet, proven: InjectedWallet, watch: Watch
) -> None:
    context = new_visitor(bypass_csp=True)
    proven.install(context)
    page = context.new_page()
    page.goto(f"{money.url}/proof")
    steps.connect_injected(page)
    expect(page.get_by_role("region", name="Published roots")).to_contain_text(
        "On the chain", timeout=steps.CHAIN_MS
    )
    check(page, "RIGHT")
    verdict = page.get_by_role("region", name="Check your balance")
    verdict.get_by_text("3 ETH").first.click()
    expect(verdict.get_by_text("Your leaf")).to_be_visible()
    assert violations(page) == []
    look(page, "proof-right")

    page.route("**/v1/proof/balance*", one_atom_more)
    check(page, "WRONG")
    expect(verdict.get_by_text(re.compile("^ETH: the sums lead to a total of"))).to_be_visible()
    look(page, "proof-wrong")
    page.unroute("**/v1/proof/balance*")

    of_the_node = re.compile(re.escape(money.rpc_url))
    page.route(of_the_node, lambda route: lie_about_the_vault(route, money.chain.vault))
    check(page, "WRONG")
    expect(verdict.get_by_text(re.compile("^The vault held .* by the proof"))).to_be_visible()
    page.unroute(of_the_node)

    watch.allow_disconnection()
    page.route(of_the_node, lambda route: route.abort())
    check(page, "NOT CHECKED")
    look(page, "proof-not-checked")
    page.unroute(of_the_node)
    check(page, "RIGHT")


def check(page: Page, word: str) -> None:
    page.get_by_role("button", name="Check now").click()
    verdict = page.get_by_role("region", name="Check your balance")
    expect(verdict.get_by_text(word, exact=True)).to_be_visible(timeout=steps.CHAIN_MS)


def one_atom_more(route: Route) -> None:
    """The exchange tells more than it has proven."""
    answer = route.fetch()
    proof = answer.json()
    [leaf] = proof["leaves"]
    leaf["amount_atoms"] = str(int(leaf["amount_atoms"]) + 1)
    route.fulfill(response=answer, json=proof)


def lie_about_the_vault(route: Route, vault: str) -> None:
    """The node says that the vault held one atom less than it did."""
    asked: Any = route.request.post_data_json
    accounted = "0x" + selector("accounted(address)").hex()
    call = asked["params"][0] if asked["method"] == "eth_call" else {}
    if call.get("to", "").lower() != vault.lower() or not call.get("data", "").startswith(accounted):
        route.continue_()
        return
    answer = route.fetch()
    told = answer.json()
    told["result"] = f"0x{max(0, int(told['result'], 16) - 1):064x}"
    route.fulfill(response=answer, json=told)
