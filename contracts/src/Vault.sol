// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ExpiringPause} from "./ExpiringPause.sol";
import {SettlementSeat} from "./SettlementSeat.sol";
import {VaultLedger} from "./VaultLedger.sol";
import {IVault} from "./interfaces/IVault.sol";
import {BoundedTransfer} from "./libraries/BoundedTransfer.sol";
import {OutflowLimit} from "./libraries/OutflowLimit.sol";
import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";
import {IERC3009} from "@openzeppelin/contracts/interfaces/draft-IERC3009.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

/// @title Custody of the exchange's deposits.
/// @notice Deposits are numbered and chained by a rolling hash, so that the exchange can prove it missed none.
/// Withdrawals carry an id that is used at most once for ever. Two different keys are needed to pay out: one signs
/// each payment, another sends the batch. Not upgradeable. It has no `receive`, so plain sends are refused.
contract Vault is VaultLedger, ExpiringPause, SettlementSeat, EIP712 {
    using SafeERC20 for IERC20;
    using OutflowLimit for OutflowLimit.Bucket;

    /// @notice Holders sign payments. A holder with an execution delay does not count: a signature cannot wait.
    uint64 public constant SIGNER_ROLE = 1;
    /// @notice Holders send payment batches; the authority must give this role `withdraw`.
    uint64 public constant SENDER_ROLE = 2;
    /// @notice Holders pause; the authority must give this role `pause` and `unpause`.
    uint64 public constant GUARDIAN_ROLE = 3;

    /// @notice EIP-712 type of what the operator signs.
    bytes32 public constant PAYMENT_TYPEHASH = keccak256(
        "Payment(bytes32 id,address account,address token,uint256 amount,address destination,uint256 deadline)"
    );

    /// @inheritdoc IVault
    mapping(bytes32 id => bool) public used;

    mapping(address token => OutflowLimit.Bucket) private _outflows;

    /// @dev Deposits and withdrawals run only while the vault is neither frozen nor paused.
    modifier whenOpen() {
        _requireNotFrozen();
        _requireNotPaused();
        _;
    }

    /// @param authority The AccessManager that holds the roles.
    constructor(address authority) AccessManaged(authority) EIP712("Exchange Vault", "1") {
        if (authority.code.length == 0) revert AccessManagedInvalidAuthority(authority);
    }

    // ---------------------------------------------------------------- deposits

    /// @inheritdoc IVault
    function depositNative(address account) external payable whenOpen nonReentrant returns (uint256 number) {
        return _creditDeposit(account, address(0), msg.value, msg.sender);
    }

    /// @inheritdoc IVault
    function deposit(address account, address token, uint256 amount)
        external
        whenOpen
        nonReentrant
        returns (uint256 number)
    {
        return _depositFromCaller(account, token, amount);
    }

    /// @inheritdoc IVault
    // slither-disable-next-line reentrancy-benign
    function depositWithPermit(
        address account,
        address token,
        uint256 amount,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external whenOpen nonReentrant returns (uint256 number) {
        // Whoever saw the permit may have submitted it first. Then it fails here, but its allowance stands; and without
        // the allowance the transfer fails.
        try IERC20Permit(token).permit(msg.sender, address(this), amount, deadline, v, r, s) {} catch {}
        return _depositFromCaller(account, token, amount);
    }

    /// @inheritdoc IVault
    // slither-disable-next-line reentrancy-benign
    function depositWithAuthorization(
        address account,
        address token,
        address from,
        uint256 amount,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 salt,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external whenOpen nonReentrant returns (uint256 number) {
        salt = keccak256(abi.encode(account, salt)); // the authorization's nonce from here on
        uint256 before = _balance(token);
        IERC3009(token).receiveWithAuthorization(from, address(this), amount, validAfter, validBefore, salt, v, r, s);
        return _creditDeposit(account, token, _receivedSince(before, token), from);
    }

    // ------------------------------------------------------------- withdrawals

    /// @inheritdoc IVault
    function withdraw(Payment[] calldata payments, bytes[] calldata signatures)
        external
        restricted
        whenOpen
        nonReentrant
    {
        if (payments.length != signatures.length) revert LengthMismatch(payments.length, signatures.length);
        for (uint256 i = 0; i < payments.length; ++i) {
            SkipReason reason = _whySkip(payments[i], signatures[i]);
            if (reason == SkipReason.None) _pay(payments[i]);
            else emit PaymentSkipped(payments[i].id, reason);
        }
    }

    /// @inheritdoc IVault
    function claim(address token, address destination) external nonReentrant returns (uint256 amount) {
        if (_losesFunds(destination)) revert InvalidDestination(destination);
        amount = _takeClaim(msg.sender, token);
        emit Claimed(msg.sender, token, amount, destination);
        if (!BoundedTransfer.trySendWithAllGas(token, destination, amount)) {
            revert TransferFailed(token, destination, amount);
        }
    }

    /// @inheritdoc IVault
    function exit(address account, address token, uint256 amount) external onlySettlementModule nonReentrant {
        if (_losesFunds(account)) revert InvalidAccount(account);
        if (amount > accounted[token]) revert InsufficientAccounted(token, amount, accounted[token]);
        if (!_fitsPaid(account, token, amount)) revert AmountTooLarge(amount);
        _debit(account, token, amount);
        bool paid = BoundedTransfer.trySend(token, account, amount);
        if (!paid) _keepForClaim(account, token, amount);
        emit Exited(account, token, amount, paid);
    }

    // ------------------------------------------------------------------ limits

    /// @inheritdoc IVault
    function setOutflowLimit(address token, uint256 limit, uint64 windowSeconds) external restricted {
        _outflows[token].configure(limit, windowSeconds);
        emit OutflowLimitSet(token, limit, windowSeconds);
    }

    /// @inheritdoc IVault
    function outflow(address token) external view returns (uint256 limit, uint64 windowSeconds, uint256 inUse) {
        OutflowLimit.Bucket storage bucket = _outflows[token];
        return (bucket.limit, bucket.windowSeconds, bucket.inUse());
    }

    /// @inheritdoc IVault
    function paymentDigest(Payment calldata payment) public view returns (bytes32) {
        return _hashTypedDataV4(
            keccak256(
                abi.encode(
                    PAYMENT_TYPEHASH,
                    payment.id,
                    payment.account,
                    payment.token,
                    payment.amount,
                    payment.destination,
                    payment.deadline
                )
            )
        );
    }

    // ----------------------------------------------------------------- private

    function _depositFromCaller(address account, address token, uint256 amount) private returns (uint256) {
        uint256 before = _balance(token);
        IERC20(token).safeTransferFrom(msg.sender, address(this), amount);
        return _creditDeposit(account, token, _receivedSince(before, token), msg.sender);
    }

    function _creditDeposit(address account, address token, uint256 amount, address sender) private returns (uint256) {
        uint256 number = _credit(account, token, amount, sender);
        _outflows[token].replenish(amount);
        return number;
    }

    /// @dev The ladder of refusals, cheap ones first. None means that the payment must run.
    function _whySkip(Payment calldata payment, bytes calldata signature) private view returns (SkipReason) {
        if (used[payment.id]) return SkipReason.AlreadyUsed;
        if (block.timestamp > payment.deadline) return SkipReason.Expired;
        if (payment.amount == 0) return SkipReason.ZeroAmount;
        if (payment.account == address(0)) return SkipReason.InvalidAccount;
        if (_losesFunds(payment.destination)) return SkipReason.InvalidDestination;
        if (!_fitsPaid(payment.account, payment.token, payment.amount)) return SkipReason.AmountTooLarge;
        if (!_signedByOperator(payment, signature)) return SkipReason.BadSignature;
        if (payment.amount > accounted[payment.token]) return SkipReason.InsufficientBalance;
        if (!_outflows[payment.token].allows(payment.amount)) return SkipReason.OverLimit;
        if (!_moduleAllows(payment)) return SkipReason.NotAllowedByModule;
        return SkipReason.None;
    }

    /// @dev Everything is recorded before the transfer runs, so it cannot run twice whatever the receiver does.
    function _pay(Payment calldata payment) private {
        used[payment.id] = true;
        _debit(payment.account, payment.token, payment.amount);
        _outflows[payment.token].consume(payment.amount);
        if (BoundedTransfer.trySend(payment.token, payment.destination, payment.amount)) {
            emit Paid(payment.id, payment.account, payment.token, payment.amount, payment.destination);
        } else {
            _keepForClaim(payment.account, payment.token, payment.amount);
            emit PaymentClaimable(payment.id, payment.account, payment.token, payment.amount, payment.destination);
        }
    }

    function _signedByOperator(Payment calldata payment, bytes calldata signature) private view returns (bool) {
        // slither-disable-next-line unused-return
        (address signer, ECDSA.RecoverError failure,) = ECDSA.tryRecoverCalldata(paymentDigest(payment), signature);
        if (failure != ECDSA.RecoverError.NoError) return false;
        (bool isMember, uint32 executionDelay) = AccessManager(authority()).hasRole(SIGNER_ROLE, signer);
        return isMember && executionDelay == 0;
    }

    /// @dev Tokens sent to the vault itself would no longer belong to anyone.
    function _losesFunds(address destination) private view returns (bool) {
        return destination == address(0) || destination == address(this);
    }

    function _balance(address token) private view returns (uint256) {
        if (token == address(0)) revert InvalidToken(token);
        return IERC20(token).balanceOf(address(this));
    }

    function _receivedSince(uint256 before, address token) private view returns (uint256) {
        uint256 afterwards = _balance(token);
        return afterwards > before ? afterwards - before : 0;
    }
}
