"""The naive exchange's answers about deposits and withdrawals."""

from tests.core.naive_operator import account_of
from tests.core.naive_orders import Answer
from tests.core.naive_world import CHAIN, FEES, FLYING, LARGEST, SECOND, SUSPENSE, NaiveAsset, World

from exchange.core import commands as c
from exchange.core import events as e
from exchange.core.rejects import RejectReason as R


def credit_deposit(world: World, d: c.CreditDeposit) -> Answer:
    expected = world.deposits.get((d.chain_id, d.vault), 0) + 1
    if d.number < expected:
        return R.DEPOSIT_ALREADY_CREDITED
    if d.number > expected:
        return R.DEPOSIT_OUT_OF_ORDER
    if not d.owner or d.amount_atoms not in range(1, 2**128):
        return R.DEPOSIT_INVALID
    out: list[e.Event] = []
    route = (d.chain_id, d.vault, d.token)
    found = [x for x in world.assets.values() if x.route == route]
    if not found:
        asset = NaiveAsset(len(world.assets) + 1, f"{d.chain_id}:{d.vault}:{d.token}", 0, route)
        world.assets[asset.id] = asset
        out.append(e.AssetListed(asset.id, asset.symbol, 0, *route, 0, 1, listed=False))
        found = [asset]
    asset = found[0]
    in_custody = -world.total.get((CHAIN, asset.id), 0)
    if asset.listed and in_custody + d.amount_atoms <= LARGEST:
        account = account_of(world, d.owner, 0, out)
    else:
        account = SUSPENSE
    world.deposits[d.chain_id, d.vault] = d.number
    world.move(CHAIN, account, asset.id, d.amount_atoms)
    out.append(
        e.DepositCredited(
            account, asset.id, d.amount_atoms, d.chain_id, d.vault, d.number, d.owner, d.token, d.tx_hash,
            d.log_index, d.block_number,
        )
    )  # fmt: skip
    return out


def request_withdrawal(world: World, w: c.RequestWithdrawal) -> Answer:
    if w.account_id not in world.owners:
        return R.UNKNOWN_ACCOUNT
    asset = world.assets.get(w.asset_id)
    if asset is None or not asset.listed:
        return R.UNKNOWN_ASSET
    if w.withdrawal_id in world.flying or w.withdrawal_id in world.landed:
        return R.WITHDRAWAL_REPLAYED
    if world.frozen(w.account_id):
        return R.ACCOUNT_FROZEN
    if w.deadline_s * SECOND <= world.now:
        return R.WITHDRAWAL_DEADLINE_PASSED
    if w.deadline_s * SECOND > world.now + 86_400 * SECOND:
        return R.WITHDRAWAL_DEADLINE_TOO_FAR
    if w.max_fee_atoms < asset.fee:
        return R.WITHDRAWAL_FEE_ABOVE_MAXIMUM
    if w.amount_atoms < asset.fee + asset.least:
        return R.WITHDRAWAL_TOO_SMALL
    if w.amount_atoms > LARGEST:
        return R.AMOUNT_TOO_LARGE
    if sum(flying.account_id == w.account_id for flying in world.flying.values()) >= 20:
        return R.TOO_MANY_WITHDRAWALS
    if w.amount_atoms > world.available(w.account_id, w.asset_id):
        return R.INSUFFICIENT_FUNDS
    world.move(w.account_id, FLYING, w.asset_id, w.amount_atoms)
    requested = e.WithdrawalRequested(
        w.withdrawal_id, w.account_id, w.asset_id, w.amount_atoms, asset.fee, w.destination, w.nonce,
        w.deadline_s, world.owners[w.account_id][0], *asset.route,
    )  # fmt: skip
    world.flying[w.withdrawal_id] = requested
    return [requested]


def settle_withdrawal(world: World, s: c.SettleWithdrawal) -> Answer:
    w = world.flying.get(s.withdrawal_id)
    if w is None:
        return not_flying(world, s.withdrawal_id)
    land(world, w)
    world.move(FLYING, CHAIN, w.asset_id, w.amount_atoms - w.fee_atoms)
    world.move(FLYING, FEES, w.asset_id, w.fee_atoms)
    return [
        e.WithdrawalSettled(
            w.withdrawal_id, w.account_id, w.asset_id, w.amount_atoms, w.fee_atoms, s.tx_hash, s.block_number,
            s.outcome,
        )
    ]  # fmt: skip


def refund_withdrawal(world: World, s: c.RefundWithdrawal) -> Answer:
    w = world.flying.get(s.withdrawal_id)
    if w is None:
        return not_flying(world, s.withdrawal_id)
    if s.block_time_s <= w.deadline_s:
        return R.WITHDRAWAL_NOT_REFUNDABLE
    land(world, w)
    world.move(FLYING, w.account_id, w.asset_id, w.amount_atoms)
    return [e.WithdrawalRefunded(w.withdrawal_id, w.account_id, w.asset_id, w.amount_atoms, s.block_number)]


def not_flying(world: World, label: str) -> R:
    return R.WITHDRAWAL_ALREADY_FINAL if label in world.landed else R.UNKNOWN_WITHDRAWAL


def land(world: World, w: e.WithdrawalRequested) -> None:
    del world.flying[w.withdrawal_id]
    world.landed[w.withdrawal_id] = w.deadline_s
