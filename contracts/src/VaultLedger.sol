// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IVault} from "./interfaces/IVault.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title What the vault owes.
/// @notice The only place where the vault's own numbers change; it moves no funds. Per token,
/// `accounted` is the sum over all accounts of deposited less paid, and `accounted + claimableTotal` never exceeds what
/// the vault holds. Balances of the vault itself are never read as truth, so funds forced in change nothing.
abstract contract VaultLedger is IVault {
    using SafeCast for uint256;

    /// @inheritdoc IVault
    uint256 public depositCount;
    /// @inheritdoc IVault
    bytes32 public depositHash = keccak256(abi.encode(block.chainid, address(this)));
    /// @inheritdoc IVault
    mapping(address token => uint256 atoms) public accounted;
    /// @inheritdoc IVault
    mapping(address token => uint256 atoms) public claimableTotal;
    /// @inheritdoc IVault
    mapping(address account => mapping(address token => uint256 atoms)) public claimable;

    mapping(address account => mapping(address token => Flows)) private _flows;

    /// @inheritdoc IVault
    function flows(address account, address token) external view returns (Flows memory) {
        return _flows[account][token];
    }

    /// @dev Numbers a deposit, extends the rolling hash and credits the account.
    function _credit(address account, address token, uint256 amount, address sender) internal returns (uint256 number) {
        if (account == address(0)) revert InvalidAccount(account);
        if (amount == 0) revert NothingReceived(token);

        number = ++depositCount;
        bytes32 rolled = keccak256(abi.encode(depositHash, number, account, token, amount));
        depositHash = rolled;
        accounted[token] += amount;

        Flows storage flow = _flows[account][token];
        if (amount > type(uint128).max - flow.deposited) revert AmountTooLarge(amount);
        flow.deposited += amount.toUint128();
        if (flow.firstId == 0) flow.firstId = number.toUint64();

        emit Deposited(number, account, token, amount, sender, rolled);
    }

    /// @dev Whether the account's lifetime total has room for another payment.
    function _fitsPaid(address account, address token, uint256 amount) internal view returns (bool) {
        return amount <= type(uint128).max - _flows[account][token].paid;
    }

    /// @dev Takes a payment out of the accounts. Requires `_fitsPaid` and a covering `accounted`.
    function _debit(address account, address token, uint256 amount) internal {
        accounted[token] -= amount;
        _flows[account][token].paid += amount.toUint128();
    }

    /// @dev Keeps a debited amount, whose transfer failed, for the account.
    function _keepForClaim(address account, address token, uint256 amount) internal {
        claimable[account][token] += amount;
        claimableTotal[token] += amount;
    }

    /// @dev Takes all an account can claim.
    function _takeClaim(address account, address token) internal returns (uint256 amount) {
        amount = claimable[account][token];
        if (amount == 0) revert NothingToClaim(account, token);
        claimable[account][token] = 0;
        claimableTotal[token] -= amount;
    }
}
