"""Everything that can be asked of the core. Frozen, tagged, journaled as JSON arrays.

Fields are append-only: a new field goes last and has a default, so that an old journal still decodes.
Addresses are lower-case 0x-hex, hashes and ids too; times are integer nanoseconds (`_ns`) or seconds (`_s`).
"""

from typing import Literal

import msgspec

from exchange.core.orders import OrderType, SelfTradePrevention, Side, TimeInForce


class _Command(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    pass


class ListAsset(_Command, frozen=True):
    """Operator: an asset and the vault and token through which it comes and goes."""

    symbol: str
    decimals: int
    chain_id: int
    vault: str
    token: str
    withdrawal_fee_atoms: int = 0
    min_withdrawal_atoms: int = 1


class OpenMarket(_Command, frozen=True):
    """Operator: a spot market. Refused when tick x lot is not a whole number of quote atoms."""

    symbol: str
    base: str
    quote: str
    tick_mantissa: int
    tick_decimals: int
    lot_atoms: int
    maker_fee_bps: int
    taker_fee_bps: int


class OpenAccount(_Command, frozen=True):
    """An account for an owner's wallet address; answering with the present one when it exists."""

    owner: str
    sub_account: int = 0


class CreditDeposit(_Command, frozen=True):
    """The vault's deposit `number` is confirmed. Numbers run 1, 2, 3, ... per (chain, vault)."""

    chain_id: int
    vault: str
    number: int
    owner: str
    token: str
    amount_atoms: int
    tx_hash: str
    log_index: int
    block_number: int


class PlaceOrder(_Command, frozen=True):
    """An order. `price_ticks` is the limit, or the worst price of a market order."""

    account_id: int
    market_id: int
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    price_ticks: int
    size_lots: int
    client_order_id: str | None
    expires_ns: int
    self_trade_prevention: SelfTradePrevention = SelfTradePrevention.CANCEL_NEWEST


class CancelOrder(_Command, frozen=True):
    """Ends one of the account's own open orders; somebody else's is unknown."""

    account_id: int
    order_id: int


class CancelAll(_Command, frozen=True):
    """Cancels the account's open orders, of one market or of all (None)."""

    account_id: int
    market_id: int | None


class RequestWithdrawal(_Command, frozen=True):
    """The owner's signed request; `withdrawal_id` is the EIP-712 digest the owner signed.

    `deadline_s` is the last second at which the vault may pay it, the only deadline ever signed.
    """

    withdrawal_id: str
    account_id: int
    asset_id: int
    amount_atoms: int
    max_fee_atoms: int
    destination: str
    nonce: int
    deadline_s: int
    signature: str


class SettleWithdrawal(_Command, frozen=True):
    """The vault's payment is confirmed on chain: paid, or set aside as claimable by the owner."""

    withdrawal_id: str
    tx_hash: str
    block_number: int
    outcome: Literal["paid", "claimable"]


class RefundWithdrawal(_Command, frozen=True):
    """A finalized block is past the deadline and the vault has not used the id: it can never pay."""

    withdrawal_id: str
    block_number: int
    block_time_s: int


Command = (
    ListAsset
    | OpenMarket
    | OpenAccount
    | CreditDeposit
    | PlaceOrder
    | CancelOrder
    | CancelAll
    | RequestWithdrawal
    | SettleWithdrawal
    | RefundWithdrawal
)
