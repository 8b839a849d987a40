"""Chain against journal: what was credited or paid too often, and what not at all. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from scripts.chain_drill.readings import Deposited, JournaledEvent, PaymentLog

MAX_TOLD = 20


@dataclass(slots=True)
class Verdict:
    """What is wrong, counted and told. Good as long as nothing is."""

    double_credits: int = 0
    missed_credits: int = 0
    double_payments: int = 0
    lost_payments: int = 0
    wrong: list[str] = field(default_factory=list)
    """In words: each of the above, and whatever else must not be."""

    @property
    def is_good(self) -> bool:
        counted = self.double_credits + self.missed_credits + self.double_payments + self.lost_payments
        return counted == 0 and not self.wrong

    def add(self, other: "Verdict") -> None:
        self.double_credits += other.double_credits
        self.missed_credits += other.missed_credits
        self.double_payments += other.double_payments
        self.lost_payments += other.lost_payments
        self.wrong += other.wrong

    def words(self) -> str:
        more = [f"... and {len(self.wrong) - MAX_TOLD} more"] if len(self.wrong) > MAX_TOLD else []
        return "\n".join(f"    {line}" for line in self.wrong[:MAX_TOLD] + more)


@dataclass(frozen=True, slots=True)
class Asked:
    """A withdrawal that an owner signed. `amount_atoms` leaves the account, `fee_atoms` of it are kept."""

    withdrawal_id: str
    owner: str
    token: str
    amount_atoms: int
    fee_atoms: int
    destination: str

    @property
    def net_atoms(self) -> int:
        return self.amount_atoms - self.fee_atoms


def compare_deposits(chain: Sequence[Deposited], credited: Sequence[Deposited]) -> Verdict:
    """Each deposit on the chain must be credited once, with all its fields, and nothing else may be."""
    verdict = Verdict()
    on_chain, in_journal = Counter(chain), Counter(credited)
    for deposit in sorted(on_chain | in_journal, key=lambda deposit: deposit.number):
        missing = on_chain[deposit] - in_journal[deposit]
        if missing > 0:
            verdict.missed_credits += missing
            verdict.wrong.append(f"not credited: {deposit}")
        elif missing < 0:
            verdict.double_credits -= missing
            verdict.wrong.append(
                f"credited {in_journal[deposit]} times, {on_chain[deposit]} on chain: {deposit}"
            )
    return verdict


def compare_payments(
    asked: Iterable[Asked], logs: Sequence[PaymentLog], events: Sequence[JournaledEvent]
) -> Verdict:
    """Each withdrawal must be paid once and settled once, or refunded once and not paid."""
    verdict = Verdict()
    logs_of: dict[str, list[PaymentLog]] = {}
    for log in logs:
        logs_of.setdefault(log.withdrawal_id, []).append(log)
    requested = Counter(_id(event) for event in events if event.name == "WithdrawalRequested")
    refunded = Counter(_id(event) for event in events if event.name == "WithdrawalRefunded")
    settled: dict[str, list[str]] = {}
    for event in events:
        if event.name == "WithdrawalSettled":
            settled.setdefault(_id(event), []).append(str(event.fields[-1]))
    for request in asked:
        key = request.withdrawal_id
        paid = logs_of.pop(key, [])
        if requested[key] != 1:
            verdict.wrong.append(f"requested {requested[key]} times: {key}")
        ends = len(paid) + refunded[key]
        if ends > 1:
            verdict.double_payments += ends - 1
            verdict.wrong.append(f"paid {len(paid)} times and refunded {refunded[key]} times: {key}")
        if ends == 0:
            verdict.lost_payments += 1
            verdict.wrong.append(
                f"neither paid nor refunded, settled {len(settled.get(key, []))} times: {key}"
            )
        _compare_settlement(request, paid, settled.pop(key, []), verdict)
    for paid in logs_of.values():
        verdict.double_payments += len(paid)
        verdict.wrong.append(f"paid, and nobody asked for it: {paid[0]}")
    for key, outcomes in settled.items():
        verdict.wrong.append(f"settled {len(outcomes)} times, and nobody asked for it: {key}")
    return verdict


def _compare_settlement(
    request: Asked, paid: Sequence[PaymentLog], settled: Sequence[str], verdict: Verdict
) -> None:
    key = request.withdrawal_id
    wanted = ["claimable" if log.claimable else "paid" for log in paid]
    if len(settled) > len(wanted) > 0:
        verdict.double_payments += len(settled) - len(wanted)
    if sorted(settled) != sorted(wanted):
        verdict.wrong.append(f"on chain {wanted}, settled {list(settled)}: {key}")
    expected = (request.owner, request.token, request.net_atoms, request.destination)
    for log in paid:
        found = (log.owner, log.token, log.amount_atoms, log.destination)
        if found != expected:
            verdict.wrong.append(f"asked for {expected}, paid {found}: {key}")


def compare_holdings(what: str, expected: Mapping[str, int], found: Mapping[str, int]) -> Verdict:
    """Amounts by name must be the same."""
    verdict = Verdict()
    for name in sorted({*expected, *found}):
        if expected.get(name, 0) != found.get(name, 0):
            verdict.wrong.append(
                f"{what} {name}: {found.get(name, 0)} atoms, expected {expected.get(name, 0)}"
            )
    return verdict


def _id(event: JournaledEvent) -> str:
    return str(event.fields[0])
