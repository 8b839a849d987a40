"""An account's balances. Only their newest state counts, so they are read from the committed view."""

from collections.abc import Callable

from exchange.feeds.keys import TopicKey
from exchange.feeds.topic import Outgoing, Topic
from exchange.feeds.updates import AssetBalance, BalancesData, Update
from exchange.sequencer.committed import CommittedView


class BalancesTopic(Topic):
    """The balances of one account, and which of them have changed since when."""

    def __init__(
        self, key: TopicKey, view: CommittedView, outgoing: Outgoing, settle: Callable[[], None]
    ) -> None:
        super().__init__(key, view, outgoing, settle)
        self._floor_seq = self.seq
        self._balances = {
            asset_id: AssetBalance(asset_id, balance.available_atoms, balance.held_atoms)
            for asset_id, balance in view.balances(key.account_id).items()
        }
        self._changed_seq: dict[int, int] = {}
        self._touched: set[int] = set()
        self._last: Update | None = None
        self._time_ns = view.time_ns

    def touch(self, asset_id: int) -> None:
        """Something moved in this balance."""
        self._touched.add(asset_id)

    def flush(self, seq: int, time_ns: int) -> None:
        """Publishes what is not as it was, as of the view's seq."""
        changed = []
        for asset_id in sorted(self._touched):
            balance = self._view.balance(self.key.account_id, asset_id)
            now = AssetBalance(asset_id, balance.available_atoms, balance.held_atoms)
            if self._balances.get(asset_id, AssetBalance(asset_id, 0, 0)) != now:
                self._balances[asset_id] = now
                self._changed_seq[asset_id] = seq
                changed.append(now)
        self._touched.clear()
        if changed:
            self._time_ns = time_ns
            self._last = self._publish(seq, time_ns, BalancesData(tuple(changed)))

    def _snapshot(self) -> Update:
        balances = sorted(self._balances.values(), key=lambda balance: balance.asset_id)
        held = tuple(balance for balance in balances if balance.available_atoms or balance.held_atoms)
        return Update(self.key, self.seq, None, self._time_ns, BalancesData(held))

    def _since(self, seq: int) -> list[Update] | None:
        if seq >= self.seq:
            return []
        if seq < self._floor_seq:
            return None
        if self._last is not None and self._last.prev_seq == seq:
            return [self._last]
        changed = sorted(asset_id for asset_id, at_seq in self._changed_seq.items() if at_seq > seq)
        data = BalancesData(tuple(self._balances[asset_id] for asset_id in changed))
        return [Update(self.key, self.seq, seq, self._time_ns, data)]
