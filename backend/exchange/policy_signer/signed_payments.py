"""What has been signed: each id once, for one payment, and counted against the limit of its window.

A payment is recorded durably before its signature is made, so none ever leaves that is not counted. Being
asked again for the same one counts nothing; the signature is deterministic (RFC 6979) and need not be kept.
What came to nothing on chain stays counted: to the signer a signature is as good as a payment.
"""

from exchange.chain.vault import Payment
from exchange.policy_signer.limits import TokenLimits
from exchange.policy_signer.refusals import RefusalCode, Refused
from exchange.policy_signer.state_file import StateFile


class SignedPayments:
    """The table `signed` of a state file."""

    def __init__(self, state: StateFile) -> None:
        self._state = state

    def record(self, payment: Payment, digest: bytes, limits: TokenLimits, now_s: int) -> bool:
        """Records that this payment may be signed; False when it was recorded before.

        Raises Refused: signed_differently, window_limit_exceeded, state_unavailable.
        """
        with self._state.transaction() as connection:
            known = connection.execute(
                "SELECT digest FROM signed WHERE withdrawal_id = ?", (payment.withdrawal_id,)
            ).fetchone()
            if known is not None:
                if known[0] != digest:
                    raise Refused(
                        RefusalCode.SIGNED_DIFFERENTLY, "another payment was signed under this id before"
                    )
                return False
            # Never earlier than the newest: a clock that is set back must not age what is counted.
            newest_s = connection.execute("SELECT max(signed_at_s) FROM signed").fetchone()[0] or 0
            used_atoms = self._used_atoms(payment.token, now_s - limits.window_s)
            if used_atoms + payment.amount_atoms > limits.max_in_window_atoms:
                raise Refused(
                    RefusalCode.WINDOW_LIMIT_EXCEEDED,
                    f"{used_atoms} of {limits.max_in_window_atoms} atoms are signed for in the last"
                    f" {limits.window_s} s; {payment.amount_atoms} more do not fit",
                )
            connection.execute(
                "INSERT INTO signed VALUES (?, ?, ?, ?, ?)",
                (
                    payment.withdrawal_id,
                    payment.token,
                    str(payment.amount_atoms),
                    digest,
                    max(now_s, newest_s),
                ),
            )
        return True

    def _used_atoms(self, token: str, after_s: int) -> int:
        rows = self._state.connection.execute(
            "SELECT amount_atoms FROM signed WHERE token = ? AND signed_at_s > ?", (token, after_s)
        )
        return sum(int(amount) for (amount,) in rows)
