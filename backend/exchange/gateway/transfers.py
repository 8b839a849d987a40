"""A transfer between two accounts of one owner, as the core's command."""

from collections.abc import Mapping
from dataclasses import dataclass

from exchange.core.commands import TransferFunds
from exchange.core.markets import Asset
from exchange.core.rejects import RejectReason
from exchange.gateway.fields import parse_amount_atoms, parse_client_id, parse_expires_ns
from exchange.gateway.refusals import FieldRefused


@dataclass(frozen=True, slots=True)
class TransferForm:
    """The fields as they came, the amount as text."""

    from_sub_account: int
    to_sub_account: int
    asset: str
    amount: str
    client_transfer_id: str
    expires_at_ms: int | None


def transfer_command(
    form: TransferForm, account_id: int, assets: Mapping[str, Asset], now_ns: int
) -> TransferFunds:
    """The command of a request; `account_id` is the owner's `form.from_sub_account`. Raises FieldRefused."""
    asset = assets.get(form.asset)
    if asset is None:
        raise FieldRefused(RejectReason.UNKNOWN_ASSET, "no such asset", field="asset", value=form.asset)
    if form.to_sub_account == form.from_sub_account:
        raise FieldRefused(
            RejectReason.TRANSFER_INVALID,
            "must be another one than from_sub_account",
            field="to_sub_account",
            value=form.to_sub_account,
        )
    return TransferFunds(
        account_id=account_id,
        to_sub_account=form.to_sub_account,
        asset_id=asset.asset_id,
        amount_atoms=parse_amount_atoms(form.amount, asset.decimals, "amount"),
        client_transfer_id=parse_client_id(form.client_transfer_id, "client_transfer_id"),
        expires_ns=parse_expires_ns(form.expires_at_ms, now_ns),
    )
