"""What a signer is asked to sign: a payment, and the owner's request that it must follow from.

How an order is made, from a row of `payments` and the journal:

    request = await owner_request(tail, committed.sub_account, requested_seq, withdrawal_id)
    signature = await signer.sign_order(PaymentOrder(payment, request))

`requested_seq` is the column of `payments`. The event WithdrawalRequested has neither the owner's signature
nor the highest fee; the command beside it in the same row of the journal has both.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from exchange.chain.errors import OrderInconsistent, RequestNotJournaled
from exchange.chain.vault import Payment
from exchange.core.commands import RequestWithdrawal
from exchange.core.events import WithdrawalRequested
from exchange.journal.rows import JournalRow


@dataclass(frozen=True, slots=True)
class OwnerRequest:
    """What an owner signed, and where it is journaled.

    Addresses and ids are lower-case 0x text; `amount_atoms` is before the fee; `signature` is 0x and the 130
    hex digits of r, s, v over the EIP-712 digest that is also the `withdrawal_id`.
    """

    withdrawal_id: str
    owner: str
    sub_account: int
    token: str
    amount_atoms: int
    max_fee_atoms: int
    destination: str
    nonce: int
    deadline_s: int
    signature: str
    journal_seq: int


@dataclass(frozen=True, slots=True)
class PaymentOrder:
    """A payment of the vault, with the request that it fulfils."""

    payment: Payment
    request: OwnerRequest

    @property
    def fee_atoms(self) -> int:
        """What the exchange keeps of the requested amount."""
        return self.request.amount_atoms - self.payment.amount_atoms

    def check(self) -> None:
        """That the payment is what the owner asked for, less a fee within its limit.

        Raises OrderInconsistent with the first field that differs.
        """
        payment, request = self.payment, self.request
        for field, ours, owners in (
            ("withdrawal_id", payment.withdrawal_id, request.withdrawal_id),
            ("account", payment.account, request.owner),
            ("token", payment.token, request.token),
            ("destination", payment.destination, request.destination),
            ("deadline_s", payment.deadline_s, request.deadline_s),
        ):
            if ours != owners:
                raise OrderInconsistent(payment.withdrawal_id, field)
        if payment.amount_atoms <= 0 or not 0 <= self.fee_atoms <= request.max_fee_atoms:
            raise OrderInconsistent(payment.withdrawal_id, "amount_atoms")


class JournalReads(Protocol):
    """The part of `journal.tail.Tail` that is needed here."""

    async def read(self, after_seq: int, max_rows: int = 64) -> list[JournalRow]:
        """The next rows after `after_seq`, the one that holds the seq after it first."""
        ...


async def owner_request(
    journal: JournalReads, sub_account: Callable[[int], int], seq: int, withdrawal_id: str
) -> OwnerRequest:
    """The request that was journaled as command `seq`; `sub_account` gives an account's number by its id.

    Raises RequestNotJournaled when that command is not this withdrawal's, taken by the core.
    """
    rows = await journal.read(seq - 1, 1)
    found = request_in(rows[0], seq, withdrawal_id) if rows else None
    if found is None:
        raise RequestNotJournaled(withdrawal_id, seq)
    command, event = found
    return OwnerRequest(
        withdrawal_id=event.withdrawal_id,
        owner=event.owner,
        sub_account=sub_account(event.account_id),
        token=event.token,
        amount_atoms=event.amount_atoms,
        max_fee_atoms=command.max_fee_atoms,
        destination=event.destination,
        nonce=event.nonce,
        deadline_s=event.deadline_s,
        signature=command.signature,
        journal_seq=seq,
    )


def request_in(
    row: JournalRow, seq: int, withdrawal_id: str
) -> tuple[RequestWithdrawal, WithdrawalRequested] | None:
    """Command and event of a withdrawal that the row's command `seq` requested, None if it did not."""
    if not row.seq_first <= seq <= row.seq_last:
        return None
    command = row.commands[seq - row.seq_first]
    if not isinstance(command, RequestWithdrawal) or command.withdrawal_id != withdrawal_id:
        return None
    for event in row.events[seq - row.seq_first]:
        if isinstance(event, WithdrawalRequested) and event.withdrawal_id == withdrawal_id:
            return command, event
    return None
