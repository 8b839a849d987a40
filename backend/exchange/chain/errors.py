"""Everything that can go wrong between this exchange and its chain, one class per cause, with its data."""

import reprlib

MAX_NODE_TEXT = 1_000
"""Characters that are kept of a text that the node gave."""

_shown = reprlib.Repr()
_shown.maxstring = _shown.maxother = _shown.maxlong = 200


class ChainError(Exception):
    """Root of the package's errors."""


# ------------------------------------------------------------------------------------------- node


def _printable(given: object) -> str:
    text = given if isinstance(given, str) else _shown.repr(given)
    return "".join(char if char.isprintable() else "?" for char in text[:MAX_NODE_TEXT])


class RpcUnavailable(ChainError):
    """No usable answer: refused, broken off or timed out. Whether the request took effect is unknown.

    `cause` never names the node's URL: that may hold a key, and this text is shown to everybody.
    """

    def __init__(self, method: str, cause: str) -> None:
        self.method = method
        self.cause = cause
        super().__init__(f"{method}: no answer from the node ({cause})")


class RpcError(ChainError):
    """The node answered with an error; `data` is its revert data or other detail, "" if it gave none.

    Both are in the end the words of whoever wrote the contract or runs the node: what can be printed of
    them is kept, and no more than MAX_NODE_TEXT.
    """

    def __init__(self, method: str, code: int, message: object, data: object = "") -> None:
        self.method = method
        self.code = code
        self.message = _printable(message)
        self.data = _printable(data)
        super().__init__(
            f"{method}: error {code} from the node: {self.message}" + (f" ({self.data})" if self.data else "")
        )


class RpcAnswerInvalid(ChainError):
    """The node's answer does not have the shape that the protocol demands."""

    def __init__(self, method: str, answer: object) -> None:
        self.method = method
        self.answer = _shown.repr(answer)[:200]
        super().__init__(f"{method}: the node's answer makes no sense: {self.answer}")


class WrongChain(ChainError):
    """The node serves another chain than the one configured."""

    def __init__(self, expected: int, found: int) -> None:
        self.expected = expected
        self.found = found
        super().__init__(f"the node serves chain {found}, not chain {expected}")


class ChainMoved(ChainError):
    """Two answers of the node belong to different branches: the chain reorganized in between. Ask again."""

    def __init__(self, block_number: int) -> None:
        self.block_number = block_number
        super().__init__(f"the chain changed at block {block_number} while it was read")


class LogInvalid(ChainError):
    """A log of the vault can not be decoded as the event that its topic names."""

    def __init__(self, tx_hash: str, log_index: int, cause: str) -> None:
        self.tx_hash = tx_hash
        self.log_index = log_index
        super().__init__(f"log {log_index} of {tx_hash} can not be decoded: {cause}")


# --------------------------------------------------------------------------------------- deposits


class DepositCondition(ChainError):
    """Crediting has stopped; each pass tries again, and the condition stays visible until one succeeds."""


class ConfirmationsOutOfRange(ChainError):
    """Fewer confirmations than one, or more than block hashes are kept for."""

    def __init__(self, confirmations: int, maximum: int) -> None:
        self.confirmations = confirmations
        self.maximum = maximum
        super().__init__(f"{confirmations} confirmations are not possible; choose 1 to {maximum}")


class FinalizedAheadOfHead(DepositCondition):
    """The node calls a block finalized that lies beyond its own head: its answers are of different nodes."""

    def __init__(self, finalized: int, head: int) -> None:
        self.finalized = finalized
        self.head = head
        super().__init__(f"block {finalized} is called finalized while the head is block {head}")


class FinalizedWentBack(DepositCondition):
    """The node takes back what was finalized: it lags behind another one, or lied then or lies now."""

    def __init__(self, before: int, found: int) -> None:
        self.before = before
        self.found = found
        super().__init__(
            f"block {before} was finalized, now only block {found} is, or another block {before}"
        )


class LogNotAsked(DepositCondition):
    """The node answers with a log that was not asked for: another contract, event or block."""

    def __init__(self, address: str, block_number: int) -> None:
        self.address = address
        self.block_number = block_number
        super().__init__(f"a log of {address} in block {block_number} was not asked for")


class DepositGap(DepositCondition):
    """The node left out a deposit: the vault numbers them without gaps."""

    def __init__(self, expected: int, found: int) -> None:
        self.expected = expected
        self.found = found
        super().__init__(f"deposit {found} came where deposit {expected} was due")


class DepositHashMismatch(DepositCondition):
    """A deposit's rolling hash is not the one that its predecessors and its content give."""

    def __init__(self, number: int, expected: bytes, found: bytes) -> None:
        self.number = number
        self.expected = expected
        self.found = found
        super().__init__(f"deposit {number}: rolling hash 0x{found.hex()}, computed 0x{expected.hex()}")


class DepositsDisagree(DepositCondition):
    """At a confirmed block the vault's own count or hash of deposits differs from the logs we were given."""

    def __init__(self, block_number: int, ours: tuple[int, bytes], vaults: tuple[int, bytes]) -> None:
        self.block_number = block_number
        self.ours = ours
        self.vaults = vaults
        super().__init__(
            f"at block {block_number} the vault counts {vaults[0]} deposits (0x{vaults[1].hex()}), "
            f"its logs {ours[0]} (0x{ours[1].hex()})"
        )


class ReorgedAfterCredit(DepositCondition):
    """A deposit that is credited is no longer in the chain: the reorganization outran the confirmations.

    `replaced`: another deposit has its number. Then the very same one can not be made again.
    """

    def __init__(self, number: int, *, replaced: bool = False) -> None:
        self.number = number
        self.replaced = replaced
        super().__init__(
            f"deposit {number} is credited, and in the chain another deposit has its number: for this vault"
            " nothing can be credited or signed any more, also when the halt is lifted"
            if replaced
            else f"deposit {number} is credited and gone from the chain: for this vault nothing is credited"
            " or signed, also when the halt is lifted, until the very same deposit is made again"
        )


class WitnessDisagrees(DepositCondition):
    """The second node has another block, or another answer of the vault at it: one of the two is wrong."""

    def __init__(self, block_number: int, about: str) -> None:
        self.block_number = block_number
        self.about = about
        super().__init__(f"at block {block_number} the second node says otherwise about {about}")


class WitnessSilent(ChainError):
    """The second node gives no answer, or lags behind the first: without its word nothing is done."""

    def __init__(self, cause: str) -> None:
        self.cause = cause
        super().__init__(f"the second node confirms nothing: {cause}")


class CreditRefused(DepositCondition):
    """The core refused a confirmed deposit for another reason than that it has it already."""

    def __init__(self, number: int, reason: str) -> None:
        self.number = number
        self.reason = reason
        super().__init__(f"deposit {number} was refused: {reason}")


# ------------------------------------------------------------------------------------ withdrawals


class PaymentCondition(ChainError):
    """A payment can not go on by itself; the others do."""


class PaymentDiffersFromLedger(PaymentCondition):
    """The stored payment is not what the ledger has in flight under that id: somebody edited the table."""

    def __init__(self, withdrawal_id: str) -> None:
        self.withdrawal_id = withdrawal_id
        super().__init__(
            f"withdrawal {withdrawal_id}: the stored payment differs from the ledger; not signed"
        )


class PaymentDiffersOnChain(PaymentCondition):
    """The vault paid something else under this id than what was asked for."""

    def __init__(self, withdrawal_id: str, tx_hash: str) -> None:
        self.withdrawal_id = withdrawal_id
        self.tx_hash = tx_hash
        super().__init__(f"withdrawal {withdrawal_id}: {tx_hash} paid something else; not settled")


class SearchUnanswered(PaymentCondition):
    """The node gave no answer to a search for a payment's log; a smaller one is tried."""

    def __init__(self, withdrawal_id: str, first_block: int, last_block: int) -> None:
        self.withdrawal_id = withdrawal_id
        super().__init__(f"withdrawal {withdrawal_id}: no logs of blocks {first_block} to {last_block}")


class PaymentRefused(PaymentCondition):
    """The core refused to settle or refund for another reason than that it is final already."""

    def __init__(self, withdrawal_id: str, reason: str) -> None:
        self.withdrawal_id = withdrawal_id
        self.reason = reason
        super().__init__(f"withdrawal {withdrawal_id}: the ledger refused: {reason}")


class RequestNotJournaled(PaymentCondition):
    """The journal has no request of this withdrawal where the payment says that it is."""

    def __init__(self, withdrawal_id: str, seq: int) -> None:
        self.withdrawal_id = withdrawal_id
        self.seq = seq
        super().__init__(f"withdrawal {withdrawal_id}: the journal has no such request at seq {seq}")


class OrderInconsistent(PaymentCondition):
    """The payment is not what its owner asked for; `field` is the first that differs. Never signed."""

    def __init__(self, withdrawal_id: str, field: str) -> None:
        self.withdrawal_id = withdrawal_id
        self.field = field
        super().__init__(f"withdrawal {withdrawal_id}: {field} differs from the owner's request; not signed")


class SignerRefused(PaymentCondition):
    """The signer will not sign this payment; `code` is its stable reason. Asking again is harmless."""

    def __init__(self, withdrawal_id: str, code: str, detail: str) -> None:
        self.withdrawal_id = withdrawal_id
        self.code = code
        self.detail = detail
        super().__init__(f"withdrawal {withdrawal_id}: the signer refused: {code}: {detail}")


class RegistryDiffers(ChainError):
    """The registry on the chain gives other deposit addresses than this build and its settings do."""

    def __init__(self, registry: str) -> None:
        self.registry = registry
        super().__init__(
            f"{registry} computes other deposit addresses than the compiled forwarder and the vault give"
        )


class NotInReview(ChainError):
    """There is no such withdrawal waiting for a person: unknown, decided already, or over."""

    def __init__(self, withdrawal_id: str) -> None:
        self.withdrawal_id = withdrawal_id
        super().__init__(f"withdrawal {withdrawal_id} is not in review")


class FeeAboveCap(PaymentCondition):
    """The chain's base fee is higher than what we are willing to pay."""

    def __init__(self, needed_wei: int, cap_wei: int) -> None:
        self.needed_wei = needed_wei
        self.cap_wei = cap_wei
        super().__init__(f"a transaction needs {needed_wei} wei per gas, the cap is {cap_wei}")


class SenderOutOfGas(PaymentCondition):
    """The sending key can not pay for a transaction; nothing is signed until somebody sends it money."""

    def __init__(self, sender: str, balance_wei: int, needed_wei: int) -> None:
        self.sender = sender
        self.balance_wei = balance_wei
        self.needed_wei = needed_wei
        super().__init__(f"{sender} has {balance_wei} wei, a transaction may cost {needed_wei}")


class SenderTaken(ChainError):
    """Another process has taken the sending key over; this one must not give out nonces any more."""

    def __init__(self, sender: str, epoch: int) -> None:
        self.sender = sender
        self.epoch = epoch
        super().__init__(f"another process sends with {sender} (ours was epoch {epoch})")


class NonceUnclear(PaymentCondition):
    """The node says that the key's next nonce is beyond ours, and a confirmed block says otherwise: wait."""

    def __init__(self, newest: int, confirmed: int) -> None:
        self.newest = newest
        self.confirmed = confirmed
        super().__init__(f"the sender's next nonce is {newest} now, but {confirmed} in a confirmed block")


class NonceGap(PaymentCondition):
    """The chain's nonce lies far behind ours, and the transactions between are not stored."""

    def __init__(self, expected: int, found: int) -> None:
        self.expected = expected
        self.found = found
        super().__init__(
            f"the sender's next nonce is {expected} here, {found} on chain, nothing stored between"
        )


class CursorAheadOfJournal(ChainError):
    """The payments were read from a journal longer than the present one: its last rows were lost."""

    def __init__(self, cursor: int, journal: int) -> None:
        self.cursor = cursor
        self.journal = journal
        super().__init__(f"payments are read up to seq {cursor}, the journal ends at {journal}")


# ------------------------------------------------------------------------------------------ halts


class FreezeRefused(ChainError):
    """The core refused to freeze an account."""

    def __init__(self, account_id: int, reason: str) -> None:
        self.account_id = account_id
        self.reason = reason
        super().__init__(f"account {account_id} could not be frozen: {reason}")


class HaltNotOpen(ChainError):
    """There is no open halt of that number."""

    def __init__(self, halt_id: int) -> None:
        self.halt_id = halt_id
        super().__init__(f"there is no open halt {halt_id}")


# ------------------------------------------------------------------------------------------- keys


class SignerUnavailable(ChainError):
    """The signer gave no usable answer: nothing can be signed now. Asking again is harmless.

    `cause` names neither its URL nor its token: this text is shown to everybody.
    """

    def __init__(self, cause: str) -> None:
        self.cause = cause
        super().__init__(f"the policy signer gave no signature ({cause})")


class KeystoreInvalid(ChainError):
    """A keystore file gives no key."""


class KeystorePasswordWrong(KeystoreInvalid):
    """The file is whole, the password does not open it."""

    def __init__(self) -> None:
        super().__init__("the password does not open this keystore")


class KeystoreDamaged(KeystoreInvalid):
    """It is no keystore, or no longer the one that was written."""

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(f"not a whole keystore file: {what}")


class DevKeyRefused(ChainError):
    """A well-known development key on a chain where money is real."""

    def __init__(self, address: str, chain_id: int) -> None:
        self.address = address
        self.chain_id = chain_id
        super().__init__(f"{address} is a public development key; it must not be used on chain {chain_id}")


# ------------------------------------------------------------------------------ development chain


class DevchainError(ChainError):
    """The local development chain can not be started or used."""


class AnvilMissing(DevchainError):
    """There is no anvil binary."""

    def __init__(self, looked_in: str) -> None:
        super().__init__(f"anvil was not found ({looked_in}); run `npm ci` in the project folder")


class PortTaken(DevchainError):
    """Somebody listens on the chain's port already."""

    def __init__(self, port: int) -> None:
        self.port = port
        super().__init__(
            f"port {port} is taken, perhaps by an anvil left over from an earlier run; end that process "
            "or choose another port for the chain"
        )


class ChainStateBusy(DevchainError):
    """Another process holds the state file."""

    def __init__(self, path: str) -> None:
        super().__init__(f"another chain process still uses {path}; end it first")


class AnvilFailed(DevchainError):
    """It ended at once, or never answered."""

    def __init__(self, cause: str) -> None:
        super().__init__(f"anvil did not start: {cause}")


class ArtifactMissing(DevchainError):
    """A contract is not compiled."""

    def __init__(self, path: str) -> None:
        super().__init__(f"compiled contract {path} is missing; run `bin/forge build`")


class DeployFailed(DevchainError):
    """A transaction of the deployment was refused, reverted, or not mined."""

    def __init__(self, step: str, cause: str) -> None:
        super().__init__(f"deploying the contracts failed at {step}: {cause}")


class GiftFailed(DevchainError):
    """Test funds were sent but did not arrive."""

    def __init__(self, symbol: str, tx_hash: str, problem: str) -> None:
        self.symbol = symbol
        self.tx_hash = tx_hash
        super().__init__(f"test {symbol}: {tx_hash} was {problem}")


class DeploymentLost(DevchainError):
    """The stored deployment is not on this chain."""

    def __init__(self, contract: str) -> None:
        self.contract = contract
        super().__init__(
            f"no contract at {contract} on this chain: its state is lost or replaced; start over with --fresh"
        )
