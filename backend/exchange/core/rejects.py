"""Every reason for which the core refuses a command. The values are public and stable."""

from enum import StrEnum


class RejectReason(StrEnum):
    """One code per cause of a refusal."""

    # operator
    ASSET_EXISTS = "asset_exists"
    ASSET_INVALID = "asset_invalid"
    MARKET_EXISTS = "market_exists"
    MARKET_INVALID = "market_invalid"
    MARKET_NOT_DIVISIBLE = "market_not_divisible"
    # look-ups
    UNKNOWN_ACCOUNT = "unknown_account"
    UNKNOWN_ASSET = "unknown_asset"
    UNKNOWN_MARKET = "unknown_market"
    UNKNOWN_ORDER = "unknown_order"
    UNKNOWN_WITHDRAWAL = "unknown_withdrawal"
    ACCOUNT_INVALID = "account_invalid"
    # orders
    REQUEST_EXPIRED = "request_expired"
    REQUEST_EXPIRY_TOO_FAR = "request_expiry_too_far"
    PRICE_OUT_OF_RANGE = "price_out_of_range"
    SIZE_OUT_OF_RANGE = "size_out_of_range"
    AMOUNT_TOO_LARGE = "amount_too_large"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    INVALID_COMBINATION = "invalid_combination"
    POST_ONLY_WOULD_CROSS = "post_only_would_cross"
    FILL_OR_KILL_UNFILLABLE = "fill_or_kill_unfillable"
    CLIENT_ORDER_ID_REUSED = "client_order_id_reused"
    TOO_MANY_OPEN_ORDERS = "too_many_open_orders"
    # deposits and withdrawals
    DEPOSIT_ALREADY_CREDITED = "deposit_already_credited"
    DEPOSIT_OUT_OF_ORDER = "deposit_out_of_order"
    DEPOSIT_INVALID = "deposit_invalid"
    WITHDRAWAL_REPLAYED = "withdrawal_replayed"
    WITHDRAWAL_DEADLINE_PASSED = "withdrawal_deadline_passed"
    WITHDRAWAL_DEADLINE_TOO_FAR = "withdrawal_deadline_too_far"
    WITHDRAWAL_TOO_SMALL = "withdrawal_too_small"
    TOO_MANY_WITHDRAWALS = "too_many_withdrawals"
    WITHDRAWAL_FEE_ABOVE_MAXIMUM = "withdrawal_fee_above_maximum"
    WITHDRAWAL_ALREADY_FINAL = "withdrawal_already_final"
    WITHDRAWAL_NOT_REFUNDABLE = "withdrawal_not_refundable"
