"""Images that contradict themselves are no state's: refused, each for its own reason, and never a crash."""

from collections.abc import Callable
from random import Random
from typing import Any

import msgspec
import pytest
from tests.core.test_image import day, full_state

from exchange.core.image import IMAGE_TAG, ImageInvalid, decode_state, encode_state
from exchange.core.image_rows import AccountRow, AgentRow, BookRow, ClientOrderRow, OrderRow, Row, StateRow
from exchange.core.state import State


class Edited:
    """The content of an image, whose rows are lists; `account`, `book` and `known` find some of them."""

    def __init__(self, state: State) -> None:
        self.state: list[Any] = msgspec.json.decode(encode_state(state)[len(IMAGE_TAG) :])

    def part(self, name: str) -> list[Any]:
        return field(StateRow, self.state, name)

    def account(self, account_id: int) -> list[Any]:
        return next(row for row in self.part("accounts") if row[0] == account_id)

    def book(self, name: str) -> list[Any]:
        """One side of the first market's book."""
        return field(BookRow, self.part("books")[0], name)

    def known(self, account_id: int) -> list[Any]:
        return field(AccountRow, self.account(account_id), "client_orders")

    def nonces(self) -> list[int]:
        """Of the one agent that has used some."""
        (used,) = filter(None, (field(AgentRow, row, "nonces") for row in self.part("agents")))
        nonces: list[int] = used
        return nonces

    @property
    def image(self) -> bytes:
        return IMAGE_TAG + msgspec.json.encode(self.state)


def field(kind: type[Row], row: list[Any], name: str) -> Any:
    return row[kind.__struct_fields__.index(name)]


def put(kind: type[Row], row: list[Any], **values: object) -> None:
    for name, value in values.items():
        row[kind.__struct_fields__.index(name)] = value


ALICE, BOB = 1_000, 1_001
"""Alice has two open orders with client order ids in `full_state`, Bob two that have ended."""


def an_ended_order_is_forgotten_twice(edited: Edited) -> None:
    edited.part("ended_client_orders").append(edited.part("ended_client_orders")[0])


def an_ended_order_is_never_forgotten(edited: Edited) -> None:
    edited.part("ended_client_orders").pop()


def an_ended_order_is_forgotten_at_no_time(edited: Edited) -> None:
    edited.part("ended_client_orders")[0][0] = 0


def an_open_order_is_to_be_forgotten(edited: Edited) -> None:
    edited.part("ended_client_orders").append([10**18, ALICE, "open order"])


def an_open_order_has_ended_too(edited: Edited) -> None:
    known = next(row for row in edited.known(ALICE) if row[0] == "open order")
    put(ClientOrderRow, known, ended="filled")
    edited.part("ended_client_orders").append([10**18, ALICE, "open order"])


def an_open_order_has_the_client_order_id_of_one_that_ended(edited: Edited) -> None:
    known = next(row for row in edited.known(ALICE) if row[0] == "open order")
    put(ClientOrderRow, known, ended="filled", order_id=1)
    edited.part("ended_client_orders").append([10**18, ALICE, "open order"])


def two_ended_orders_have_one_id(edited: Edited) -> None:
    first, second = edited.known(BOB)
    put(ClientOrderRow, second, order_id=field(ClientOrderRow, first, "order_id"))


def a_client_order_id_is_known_twice(edited: Edited) -> None:
    edited.known(BOB).append(edited.known(BOB)[0])


def a_client_transfer_id_is_known_twice(edited: Edited) -> None:
    transfers = field(AccountRow, edited.account(ALICE), "client_transfers")
    transfers.append(transfers[0])


def a_transfer_is_never_forgotten(edited: Edited) -> None:
    edited.part("made_transfers").pop()


def a_transfer_is_forgotten_twice(edited: Edited) -> None:
    edited.part("made_transfers").append(edited.part("made_transfers")[0])


def an_account_is_there_twice(edited: Edited) -> None:
    edited.part("accounts").append(edited.account(BOB))


def an_owner_has_one_sub_account_twice(edited: Edited) -> None:
    put(AccountRow, edited.account(1_002), owner=edited.account(BOB)[1], sub_account=0)


def a_balance_is_there_twice(edited: Edited) -> None:
    balances = field(AccountRow, edited.account(BOB), "balances")
    balances.append(balances[0])


def an_asset_is_there_twice(edited: Edited) -> None:
    edited.part("assets").append(edited.part("assets")[0])


def a_market_is_there_twice(edited: Edited) -> None:
    edited.part("markets").append(edited.part("markets")[0])


def a_book_is_there_twice(edited: Edited) -> None:
    second = list(edited.part("books")[1])
    put(BookRow, second, bids=[], asks=[], rises=[], falls=[])
    edited.part("books").append(second)


def a_fee_tier_is_there_twice(edited: Edited) -> None:
    edited.part("fee_tiers").append(edited.part("fee_tiers")[0])


def a_vault_has_two_last_deposits(edited: Edited) -> None:
    edited.part("last_deposits").append(edited.part("last_deposits")[0])


def a_market_is_met_twice(edited: Edited) -> None:
    edited.part("met_markets").append(edited.part("met_markets")[0])


def a_withdrawal_is_in_flight_twice(edited: Edited) -> None:
    edited.part("withdrawals").append(edited.part("withdrawals")[0])


def a_withdrawal_has_ended_twice(edited: Edited) -> None:
    edited.part("final_withdrawals").append(edited.part("final_withdrawals")[0])


def a_withdrawal_is_in_flight_and_has_ended(edited: Edited) -> None:
    edited.part("final_withdrawals")[0][1] = next(iter(decode_state(edited.image).withdrawals))


def a_bid_is_among_the_asks(edited: Edited) -> None:
    edited.book("asks").append(edited.book("bids").pop())


def a_bid_awaits_its_trigger(edited: Edited) -> None:
    put(OrderRow, edited.book("bids")[0], awaiting_trigger=True)


def a_trigger_is_awaited_by_an_order_that_awaits_none(edited: Edited) -> None:
    put(OrderRow, edited.book("rises")[0], awaiting_trigger=False)


def a_trigger_is_awaited_by_an_order_without_one(edited: Edited) -> None:
    put(OrderRow, edited.book("rises")[0], trigger=None)


def a_rise_is_awaited_among_the_falls(edited: Edited) -> None:
    edited.book("falls").append(edited.book("rises").pop())


def an_agent_is_there_twice(edited: Edited) -> None:
    edited.part("agents").append(edited.part("agents")[0])


def an_agent_is_of_nobody(edited: Edited) -> None:
    put(AgentRow, edited.part("agents")[0], owner="0xnobody")


def an_agent_has_used_a_nonce_twice(edited: Edited) -> None:
    nonces = edited.nonces()
    nonces.append(nonces[-1])


def an_agent_has_nonces_out_of_order(edited: Edited) -> None:
    edited.nonces().reverse()


def an_agent_has_more_nonces_than_it_may(edited: Edited) -> None:
    nonces = edited.nonces()
    nonces[:] = range(nonces[0], nonces[0] + 129)


def an_agent_has_a_nonce_that_is_too_old(edited: Edited) -> None:
    nonces = edited.nonces()
    nonces.insert(0, edited.state[1] // 1_000 - 60_000_001)


def an_agent_has_a_nonce_of_the_far_future(edited: Edited) -> None:
    edited.nonces().append(edited.state[1] // 1_000 + 60_000_001)


def a_revoked_agent_has_nonces(edited: Edited) -> None:
    agent = next(row for row in edited.part("agents") if field(AgentRow, row, "nonces"))
    put(AgentRow, agent, revoked_ns=edited.state[1])


def an_owner_is_in_two_rate_classes(edited: Edited) -> None:
    edited.part("rate_classes").append(edited.part("rate_classes")[0])


def nobody_is_in_a_rate_class(edited: Edited) -> None:
    edited.part("rate_classes")[0][0] = "0xnobody"


def the_standard_rate_class_is_named(edited: Edited) -> None:
    edited.part("rate_classes")[0][1] = "standard"


CONTRADICTIONS: dict[Callable[[Edited], None], str] = {
    an_ended_order_is_forgotten_twice: "not to be forgotten, or is twice",
    an_ended_order_is_never_forgotten: "never to be forgotten",
    an_ended_order_is_forgotten_at_no_time: "not to be forgotten, or is twice",
    an_open_order_is_to_be_forgotten: "not to be forgotten, or is twice",
    an_open_order_has_ended_too: "has ended and is open",
    an_open_order_has_the_client_order_id_of_one_that_ended: "has another's client order id",
    two_ended_orders_have_one_id: "or ended twice",
    a_client_order_id_is_known_twice: "or ended twice",
    a_client_transfer_id_is_known_twice: "a client transfer id twice",
    a_transfer_is_never_forgotten: "a transfer that was made is never",
    a_transfer_is_forgotten_twice: "a transfer to be forgotten twice",
    an_account_is_there_twice: "an account twice",
    an_owner_has_one_sub_account_twice: "an owner's account twice",
    a_balance_is_there_twice: "a balance twice",
    an_asset_is_there_twice: "an asset twice",
    a_market_is_there_twice: "a market twice",
    a_book_is_there_twice: "a book twice",
    a_fee_tier_is_there_twice: "a fee tier twice",
    a_vault_has_two_last_deposits: "the last deposit of a vault twice",
    a_market_is_met_twice: "a market whose triggers are met twice",
    a_withdrawal_is_in_flight_twice: "a withdrawal twice",
    a_withdrawal_has_ended_twice: "a withdrawal that has ended twice",
    a_withdrawal_is_in_flight_and_has_ended: "a withdrawal that has ended twice",
    a_bid_is_among_the_asks: "on a side that is not its own",
    a_bid_awaits_its_trigger: "on a side that is not its own",
    a_trigger_is_awaited_by_an_order_that_awaits_none: "on a side that is not its own",
    a_trigger_is_awaited_by_an_order_without_one: "on a side that is not its own",
    a_rise_is_awaited_among_the_falls: "on a side that is not its own",
    an_agent_is_there_twice: "an agent twice",
    an_agent_is_of_nobody: "names .*0xnobody",
    an_agent_has_used_a_nonce_twice: "not the highest, each once",
    an_agent_has_nonces_out_of_order: "not the highest, each once",
    an_agent_has_more_nonces_than_it_may: "not the highest, each once",
    an_agent_has_a_nonce_that_is_too_old: "a nonce that it can not use now",
    an_agent_has_a_nonce_of_the_far_future: "a nonce that it can not use now",
    a_revoked_agent_has_nonces: "a nonce that it can not use now",
    an_owner_is_in_two_rate_classes: "a rate class twice",
    nobody_is_in_a_rate_class: "names .*0xnobody",
    the_standard_rate_class_is_named: "goes without saying",
}


def name(contradiction: Callable[[Edited], None]) -> str:
    return contradiction.__name__


@pytest.mark.parametrize("contradiction", CONTRADICTIONS, ids=name)
def test_an_image_is_refused_in_which(contradiction: Callable[[Edited], None]) -> None:
    edited = Edited(full_state())
    assert decode_state(edited.image).seq > 0
    contradiction(edited)
    with pytest.raises(ImageInvalid, match=CONTRADICTIONS[contradiction]):
        decode_state(edited.image)


VALUES = (0, -1, 1, 1_000, 2**63, 2**64, 2**130, "", "x", None, True, 1.5, "sell", "stop")


def damage(content: list[Any], random: Random) -> None:
    """Changes, moves, doubles or takes out something at any depth."""
    places: list[tuple[Any, Any]] = []
    holders: list[Any] = [content]
    while holders:
        holder = holders.pop()
        keys = range(len(holder)) if isinstance(holder, list) else holder
        places += [(holder, key) for key in keys]
        holders += [holder[key] for key in keys if isinstance(holder[key], list | dict)]
    (holder, key), (elsewhere, there) = random.choice(places), random.choice(places)
    match random.randrange(6):
        case 0:
            del holder[key]
        case 1:
            holder[key] = msgspec.json.decode(msgspec.json.encode(elsewhere[there]))
        case 2:
            holder[key] = random.choice(VALUES)
        case 3 if isinstance(holder, list):
            holder.append(holder[key])
        case 4 if isinstance(holder, list):
            random.shuffle(holder)
        case _ if isinstance(holder[key], int):
            holder[key] += random.choice((-1, 1))


def test_no_damage_of_the_content_does_anything_but_be_refused_or_be_another_state() -> None:
    random = Random(11)
    states = [full_state(), day(seed=3, steps=200).state]
    read = refused = 0
    for _ in range(1_500):
        edited = Edited(random.choice(states))
        for _ in range(random.choice((1, 1, 1, 2, 3))):
            damage(edited.state, random)
        try:
            encode_state(decode_state(edited.image))
            read += 1
        except ImageInvalid:
            refused += 1
    assert read > 100
    assert refused > 500
