"""The image of a state: its canonical bytes, its hash, and the state again.

Two states that go on alike have the same image, however they came about. Whatever an order of things does
not matter for is sorted; indices are left out and made again. The queue of a price is kept as it stands.

The bytes are a tag with the version of the format, then one JSON array (msgspec's msgpack refuses integers
of more than 64 bits). Its rows (`image_rows`) are append-only like the fields of commands and events: a field
that is added later goes last, has a default, and is left out of the bytes while it has it, so that the states
of old journals keep their hashes. Anything else needs another tag, and old hashes can not be compared again.
"""

import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import Any, Final

import msgspec

from exchange.core.accounts import SYSTEM_ACCOUNTS, Account, Balance
from exchange.core.agents import MAX_NONCES, Agent, highest_nonce, lowest_nonce
from exchange.core.book import Book, BookSide
from exchange.core.commands import PlaceOrder
from exchange.core.image_rows import (
    AccountRow,
    AgentRow,
    AssetRow,
    BookRow,
    ClientOrderRow,
    MarketRow,
    OrderRow,
    Row,
    StateRow,
)
from exchange.core.markets import Asset, Market
from exchange.core.orders import Order
from exchange.core.schedule import find_next
from exchange.core.state import State
from exchange.core.trading import trigger_side
from exchange.core.words import AccountState, RateClass

IMAGE_TAG: Final = b"exchange state 1\n"


class ImageInvalid(Exception):
    """These bytes are no image of a state, or one in a format that this code does not know."""

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(f"not the image of a state: {problem}")


def state_hash(state: State) -> bytes:
    """SHA-256 of the state's image: 32 bytes that are equal for equal states."""
    return image_hash(encode_state(state))


def image_hash(image: bytes) -> bytes:
    """The state hash of an image's state."""
    return hashlib.sha256(image).digest()


# ---- to bytes


def _values_of(row: type[Row], **elsewhere: str) -> Callable[[Any], tuple[Any, ...]]:
    """A function that takes a row's fields from the object they belong to, by name."""
    return attrgetter(*(elsewhere.get(name, name) for name in row.__struct_fields__))


def _agent_values(agent: Agent, now_ns: int) -> tuple[Any, ...]:
    """Without nonces that are too old: they are refused for that, remembered or not."""
    *values, nonces = _all_agent_values(agent)
    lowest = lowest_nonce(now_ns)
    return (*values, [nonce for nonce in nonces if nonce >= lowest])


_asset_values = _values_of(AssetRow)
_market_values = _values_of(MarketRow)
_order_values = _values_of(OrderRow, account_id="account.account_id")
_all_agent_values = _values_of(AgentRow)

_ENCODER = msgspec.json.Encoder()


def encode_state(state: State) -> bytes:
    """The image of the state."""
    books = [_book_values(market_id, book) for market_id, book in sorted(state.books.items())]
    assert sum(len(side) for book in books for side in book[-4:]) == len(state.orders)
    content = (
        state.seq,
        state.time_ns,
        state.rules_version,
        state.next_account_id,
        state.next_trade_id,
        [_asset_values(asset) for _, asset in sorted(state.assets.items())],
        [_market_values(market) for _, market in sorted(state.markets.items())],
        books,
        [_account_values(state.accounts[account_id]) for account_id in sorted(state.accounts)],
        sorted(state.fee_tiers.items()),
        [(o.forget_ns, o.account.account_id, o.client_order_id) for o in state.ended_client_orders],
        list(state.made_transfers),
        state.met_markets,
        sorted((*vault, number) for vault, number in state.last_deposit.items()),
        [state.withdrawals[withdrawal_id] for withdrawal_id in sorted(state.withdrawals)],
        sorted(
            (deadline_s, withdrawal_id, state.final_withdrawals[withdrawal_id])
            for deadline_s, withdrawal_id in state.final_by_deadline
        ),
        *_later_values(state),
    )
    return IMAGE_TAG + _ENCODER.encode(content)


def _later_values(state: State) -> tuple[Any, ...]:
    """What older states do not have, up to the last there is of it."""
    agents = [_agent_values(state.agents[key], state.time_ns) for key in sorted(state.agents)]
    if state.rate_classes:
        return (agents, sorted(state.rate_classes.items()))
    return (agents,) if agents else ()


def _book_values(market_id: int, book: Book) -> tuple[Any, ...]:
    return (
        market_id,
        book.last_ticks,
        book.high_ticks,
        book.low_ticks,
        book.lowest_taker_bps,
        book.highest_rebate_bps,
        *(list(map(_order_values, _queued(side))) for side in (book.bids, book.asks, book.rises, book.falls)),
    )


def _queued(side: BookSide) -> Iterator[Order]:
    """The side's orders, the worst price first, so that entering them adds every price at the end."""
    for key in side.keys:
        yield from side.levels[key]


def _account_values(account: Account) -> tuple[Any, ...]:
    values = (
        account.account_id,
        account.owner,
        account.sub_account,
        account.max_open_orders,
        account.max_orders_per_market,
        account.cancel_all_ns,
        [
            (asset_id, entry.available_atoms, entry.held_atoms)
            for asset_id, entry in sorted(account.balances.items())
            if entry.available_atoms or entry.held_atoms
        ],
        [
            _client_order_values(account.client_orders[client_id])
            for client_id in sorted(account.client_orders)
        ],
        [account.client_transfers[client_id] for client_id in sorted(account.client_transfers)],
    )
    return values if account.state is AccountState.ACTIVE else (*values, account.state)


def _client_order_values(order: Order) -> tuple[Any, ...]:
    """Of an open order the size that was asked for: what has become of it stands in the book."""
    is_open = not order.ended
    return (
        order.client_order_id,
        order.order_id,
        order.asked_size_lots if is_open else order.size_lots,
        order.asked_size_lots if is_open else order.remaining_lots,
        order.ended,
        PlaceOrder(
            order.account.account_id,
            order.market_id,
            order.side,
            order.order_type,
            order.time_in_force,
            order.asked_price_ticks,
            order.asked_size_lots,
            order.client_order_id,
            order.asked_expires_ns,
            order.self_trade_prevention,
            order.good_till_ns,
            order.trigger,
            order.trigger_ticks,
            order.quote_atoms,
        ),
    )


# ---- to a state

_DECODER = msgspec.json.Decoder(StateRow)


def decode_state(image: bytes) -> State:
    """The state of an image. Raises ImageInvalid.

    The bytes must be whole, of a known format, name nothing that they do not hold, and say nothing twice that
    could be said in two ways: then they would be no state's, and what becomes of it could not be foretold.
    Whether the books balance is not asked here: that is what hashes and `invariants.audit` are for.
    """
    if not image.startswith(IMAGE_TAG):
        raise ImageInvalid(f"it does not begin with {IMAGE_TAG!r}")
    try:
        row = _DECODER.decode(memoryview(image)[len(IMAGE_TAG) :])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ImageInvalid(str(error)) from error
    state = State(
        seq=row.seq,
        time_ns=row.time_ns,
        rules_version=row.rules_version,
        next_account_id=row.next_account_id,
        next_trade_id=row.next_trade_id,
        fee_tiers=dict(row.fee_tiers),
        made_transfers=deque(row.made_transfers),
        met_markets=row.met_markets,
        last_deposit={(chain_id, vault): number for chain_id, vault, number in row.last_deposits},
        final_withdrawals={withdrawal_id: status for _, withdrawal_id, status in row.final_withdrawals},
        final_by_deadline=[  # sorted, so it is a heap as it stands
            (deadline_s, withdrawal_id) for deadline_s, withdrawal_id, _ in row.final_withdrawals
        ],
    )
    _enter_markets(state, row)
    _enter_accounts(state, row)
    try:
        _enter_orders(state, row.books)
        _enter_client_orders(state, row)
        _enter_withdrawals(state, row)
        _enter_agents(state, row)
        _check_memory(state)
    except KeyError as error:
        raise ImageInvalid(f"it names {error}, which it does not hold") from error
    find_next(state)
    return state


def _require_all(entered: int, rows: int, what: str) -> None:
    """Raises ImageInvalid when fewer were entered than there are rows: then two had the same name."""
    if entered != rows:
        raise ImageInvalid(f"it holds {what} twice")


def _enter_markets(state: State, row: StateRow) -> None:
    for asset_row in row.assets:
        asset = Asset(*msgspec.structs.astuple(asset_row))
        state.assets[asset.asset_id] = asset
        state.asset_by_symbol[asset.symbol] = asset
        state.asset_by_route[asset.chain_id, asset.vault, asset.token] = asset
    for market_row in row.markets:
        market = Market(*msgspec.structs.astuple(market_row))
        state.markets[market.market_id] = market
        state.market_by_symbol[market.symbol] = market
    _require_all(len(state.assets), len(row.assets), "an asset")
    _require_all(len(state.markets), len(row.markets), "a market")
    _require_all(len(state.fee_tiers), len(row.fee_tiers), "a fee tier")
    _require_all(len(state.last_deposit), len(row.last_deposits), "the last deposit of a vault")
    _require_all(len(set(row.met_markets)), len(row.met_markets), "a market whose triggers are met")


def _enter_accounts(state: State, row: StateRow) -> None:
    state.accounts = {account_row.account_id: _account(state, account_row) for account_row in row.accounts}
    _require_all(len(state.accounts), len(row.accounts), "an account")
    if not SYSTEM_ACCOUNTS.keys() <= state.accounts.keys():
        raise ImageInvalid("a system account is missing")
    for account in state.accounts.values():
        if account.account_id not in SYSTEM_ACCOUNTS:
            state.account_by_owner[account.owner, account.sub_account] = account
        if account.cancel_all_ns:
            state.switches.append((-account.cancel_all_ns, -account.account_id))
    state.switches.sort()
    _require_all(len(state.account_by_owner), len(row.accounts) - len(SYSTEM_ACCOUNTS), "an owner's account")


def _account(state: State, row: AccountRow) -> Account:
    account = Account(
        row.account_id,
        row.owner,
        row.sub_account,
        balances={asset_id: Balance(available, held) for asset_id, available, held in row.balances},
        max_open_orders=row.max_open_orders,
        max_orders_per_market=row.max_orders_per_market,
        fee_tier=state.fee_tiers.get(row.owner, 0),
        client_transfers={made.client_transfer_id: made for made in row.client_transfers},
        cancel_all_ns=row.cancel_all_ns,
        state=row.state,
    )
    _require_all(len(account.balances), len(row.balances), "a balance")
    _require_all(len(account.client_transfers), len(row.client_transfers), "a client transfer id")
    return account


def _enter_orders(state: State, rows: list[BookRow]) -> None:
    """Fills the books, then every index of orders. Raises KeyError, ImageInvalid."""
    opened: dict[int, Order] = {}
    for row in rows:
        book = state.books[row.market_id] = Book(row.lowest_taker_bps, row.highest_rebate_bps)
        book.last_ticks, book.high_ticks, book.low_ticks = row.last_ticks, row.high_ticks, row.low_ticks
        for side, is_waiting, order_rows in (
            (book.bids, False, row.bids),
            (book.asks, False, row.asks),
            (book.rises, True, row.rises),
            (book.falls, True, row.falls),
        ):
            for order_row in order_rows:
                order = _open_order(state, order_row)
                if order.market_id != row.market_id or order.order_id in opened:
                    raise ImageInvalid(f"order {order.order_id} is in two books")
                if order.awaiting_trigger != is_waiting or _own_side(book, order) is not side:
                    raise ImageInvalid(f"order {order.order_id} is on a side that is not its own")
                opened[order.order_id] = order
                side.add(order.trigger_ticks if is_waiting else order.price_ticks, order)
    _require_all(len(state.books), len(rows), "a book")
    if state.books.keys() != state.markets.keys():
        raise ImageInvalid("its books are not those of its markets")
    for order_id in sorted(opened):
        order = state.orders[order_id] = opened[order_id]
        order.account.orders[order_id] = order
        if order.good_till_ns:
            state.expiries.append((-order.good_till_ns, -order_id))
    state.expiries.sort()


def _own_side(book: Book, order: Order) -> BookSide | None:
    """Where the order belongs. None when it awaits a trigger and has none."""
    if not order.awaiting_trigger:
        return book.own(order.side)
    if order.trigger is None:
        return None
    return trigger_side(book, order)


def _open_order(state: State, row: OrderRow) -> Order:
    """By position and not through a tuple: a restart does it for every open order. Raises KeyError."""
    order = Order(
        row.order_id,
        state.accounts[row.account_id],
        row.market_id,
        row.side,
        row.order_type,
        row.time_in_force,
        row.self_trade_prevention,
        row.price_ticks,
        row.size_lots,
        row.remaining_lots,
        row.held_atoms,
        row.maker_fee_bps,
        row.taker_fee_bps,
        row.client_order_id,
        row.created_ns,
        row.good_till_ns,
        row.trigger,
        row.trigger_ticks,
        row.quote_atoms,
    )
    order.awaiting_trigger = row.awaiting_trigger
    order.queued_seq = row.queued_seq
    order.fee_numerator = row.fee_numerator
    order.fee_charged_atoms = row.fee_charged_atoms
    return order


def _enter_client_orders(state: State, row: StateRow) -> None:
    """Enters who may be asked for by a client order id. Raises KeyError, ImageInvalid."""
    ended: set[int] = set()
    for account_row in row.accounts:
        account = state.accounts[account_row.account_id]
        for known in account_row.client_orders:
            if known.ended:
                order = _ended_order(account, known)
                if order.order_id in ended or state.orders.get(order.order_id) is not None:
                    raise ImageInvalid(f"order {order.order_id} has ended and is open, or ended twice")
                ended.add(order.order_id)
            else:
                order = state.orders[known.order_id]
            if order.account is not account or order.client_order_id != known.client_order_id:
                raise ImageInvalid(f"order {order.order_id} has another client order id")
            order.asked_price_ticks = known.command.price_ticks
            order.asked_size_lots = known.command.size_lots
            order.asked_expires_ns = known.command.expires_ns
            account.client_orders[known.client_order_id] = order
        _require_all(len(account.client_orders), len(account_row.client_orders), "a client order id")
    for order in state.orders.values():
        client_order_id = order.client_order_id
        if client_order_id is not None and order.account.client_orders[client_order_id] is not order:
            raise ImageInvalid(f"order {order.order_id} has another's client order id")
    for forget_ns, account_id, client_order_id in row.ended_client_orders:
        order = state.accounts[account_id].client_orders[client_order_id]
        if not order.ended or order.forget_ns or forget_ns <= 0:
            raise ImageInvalid(f"order {order.order_id} is not to be forgotten, or is twice")
        order.forget_ns = forget_ns
        state.ended_client_orders.append(order)
    if len(ended) != len(state.ended_client_orders):
        raise ImageInvalid("an order that has ended is never to be forgotten")


def _ended_order(account: Account, row: ClientOrderRow) -> Order:
    """As much of an ended order as is needed to answer for it."""
    command = row.command
    order = Order(
        row.order_id,
        account,
        command.market_id,
        command.side,
        command.order_type,
        command.time_in_force,
        command.self_trade_prevention,
        command.price_ticks,
        row.size_lots,
        row.remaining_lots,
        0,
        0,
        0,
        command.client_order_id,
        0,
        command.good_till_ns,
        command.trigger,
        command.trigger_ticks,
        command.quote_atoms,
    )
    order.ended = row.ended
    return order


def _enter_withdrawals(state: State, row: StateRow) -> None:
    for requested in row.withdrawals:
        state.withdrawals[requested.withdrawal_id] = requested
        state.accounts[requested.account_id].open_withdrawals += 1
    _require_all(len(state.withdrawals), len(row.withdrawals), "a withdrawal")
    final = len(state.withdrawals.keys() | state.final_withdrawals.keys()) - len(state.withdrawals)
    _require_all(final, len(row.final_withdrawals), "a withdrawal that has ended")


def _enter_agents(state: State, row: StateRow) -> None:
    """Enters agents and rate classes. Raises KeyError, ImageInvalid."""
    lowest, highest = lowest_nonce(state.time_ns), highest_nonce(state.time_ns)
    for agent_row in row.agents:
        agent = Agent(*msgspec.structs.astuple(agent_row))
        nonces = agent.nonces
        if nonces != sorted(set(nonces)) or len(nonces) > MAX_NONCES:
            raise ImageInvalid(f"the nonces of agent {agent.key} are not the highest, each once")
        if nonces and (nonces[0] < lowest or nonces[-1] > highest or agent.revoked_ns):
            raise ImageInvalid(f"agent {agent.key} has a nonce that it can not use now")
        state.account_by_owner[agent.owner, 0]
        state.agents[agent.key] = agent
        state.agents_by_owner.setdefault(agent.owner, []).append(agent)
    for owner, rate_class in row.rate_classes:
        state.account_by_owner[owner, 0]
        if rate_class is RateClass.STANDARD:
            raise ImageInvalid("it holds a rate class that goes without saying")
        state.rate_classes[owner] = rate_class
    _require_all(len(state.agents), len(row.agents), "an agent")
    _require_all(len(state.rate_classes), len(row.rate_classes), "a rate class")


def _check_memory(state: State) -> None:
    """What is to be forgotten, or to be triggered, must be there. Raises KeyError, ImageInvalid."""
    for _, account_id, client_transfer_id in state.made_transfers:
        state.accounts[account_id].client_transfers[client_transfer_id]
    made = {(account_id, client_transfer_id) for _, account_id, client_transfer_id in state.made_transfers}
    _require_all(len(made), len(state.made_transfers), "a transfer to be forgotten")
    if len(made) != sum(len(account.client_transfers) for account in state.accounts.values()):
        raise ImageInvalid("a transfer that was made is never to be forgotten")
    for market_id in state.met_markets:
        state.books[market_id]
