// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {DepositForwarder} from "./DepositForwarder.sol";
import {IDepositAddresses} from "./interfaces/IDepositAddresses.sol";
import {IVault} from "./interfaces/IVault.sol";
import {BoundedTransfer} from "./libraries/BoundedTransfer.sol";
import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Create2} from "@openzeppelin/contracts/utils/Create2.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

/// @title Personal deposit addresses.
/// @notice Each account has an address of its own, known before it has code, so that a person can deposit by sending
/// from any wallet or exchange. Whatever arrives is the account's, and counts from the sweep that brings it into the
/// vault. The address depends on this contract, its vault and the account only, and this contract alone can put code
/// there, always the same.
contract DepositAddresses is IDepositAddresses, AccessManaged, ReentrancyGuardTransient {
    /// @notice Gas for one item of a batch: more than twice what a sweep takes that deploys and moves a plain token.
    uint256 public constant SWEEP_GAS = 1_500_000;

    /// @notice Gas for reading one token balance.
    uint256 public constant BALANCE_GAS = 100_000;

    /// @notice Where sweeps go.
    IVault public immutable vault;

    /// @inheritdoc IDepositAddresses
    mapping(address token => uint256 atoms) public minimumOf;

    /// @param authority The AccessManager that holds the roles.
    constructor(address authority, IVault vault_) AccessManaged(authority) {
        if (authority.code.length == 0) revert AccessManagedInvalidAuthority(authority);
        if (address(vault_).code.length == 0) revert InvalidVault(address(vault_));
        vault = vault_;
    }

    /// @inheritdoc IDepositAddresses
    function setMinimum(address token, uint256 minimum) external restricted {
        minimumOf[token] = minimum;
        emit MinimumSet(token, minimum);
    }

    /// @inheritdoc IDepositAddresses
    // slither-disable-next-line reentrancy-events
    function sweepBatch(Sweep[] calldata sweeps) external {
        for (uint256 i = 0; i < sweeps.length; ++i) {
            BoundedTransfer.requireGas(SWEEP_GAS);
            // Called from outside, so that whatever fails takes nothing else with it, in gas or in state.
            // slither-disable-next-line unused-return
            try this.sweep{gas: SWEEP_GAS}(sweeps[i].account, sweeps[i].token) {}
            catch {
                emit SweepSkipped(sweeps[i].account, sweeps[i].token);
            }
        }
    }

    /// @inheritdoc IDepositAddresses
    function sweep(address account, address token) external nonReentrant returns (uint256 number) {
        uint256 minimum = minimumOf[token];
        if (minimum == 0) revert TokenNotListed(token);
        address forwarder = _addressOf(account, _initCode());
        uint256 amount = token == address(0) ? forwarder.balance : IERC20(token).balanceOf(forwarder);
        // The account could deposit any amount at the vault, so no minimum, however high, can keep it from its funds.
        uint256 needed = msg.sender == account ? 1 : minimum;
        if (amount < needed) revert BelowMinimum(account, token, amount, needed);
        _deployUnlessDeployed(account, forwarder);
        number = DepositForwarder(payable(forwarder)).forward(token, amount);
        emit Swept(account, token, amount, number);
    }

    /// @inheritdoc IDepositAddresses
    function deploy(address account) external returns (address forwarder) {
        forwarder = _addressOf(account, _initCode());
        _deployUnlessDeployed(account, forwarder);
    }

    /// @inheritdoc IDepositAddresses
    function balances(address[] calldata accounts, address[] calldata tokens)
        external
        view
        returns (uint256[] memory atoms)
    {
        atoms = new uint256[](accounts.length * tokens.length);
        bytes memory initCode = _initCode();
        for (uint256 i = 0; i < accounts.length; ++i) {
            address forwarder = _addressOf(accounts[i], initCode);
            for (uint256 t = 0; t < tokens.length; ++t) {
                atoms[i * tokens.length + t] =
                    tokens[t] == address(0) ? forwarder.balance : _balanceOrZero(tokens[t], forwarder);
            }
        }
    }

    /// @inheritdoc IDepositAddresses
    function addressOf(address account) external view returns (address forwarder) {
        return _addressOf(account, _initCode());
    }

    function _deployUnlessDeployed(address account, address forwarder) private {
        if (forwarder.code.length > 0) return;
        new DepositForwarder{salt: _salt(account)}(vault, account);
        emit ForwarderDeployed(account, forwarder);
    }

    /// @dev What creates a forwarder; the account, which is its last word, is still open.
    function _initCode() private view returns (bytes memory) {
        // slither-disable-next-line too-many-digits
        return abi.encodePacked(type(DepositForwarder).creationCode, abi.encode(vault, address(0)));
    }

    /// @dev Writes the account into `initCode`, which is used over and over: a copy for each would fill the memory.
    function _addressOf(address account, bytes memory initCode) private view returns (address) {
        if (account == address(0)) revert IVault.InvalidAccount(account);
        assembly ("memory-safe") {
            mstore(add(initCode, mload(initCode)), account)
        }
        return Create2.computeAddress(_salt(account), keccak256(initCode));
    }

    function _salt(address account) private pure returns (bytes32) {
        return bytes32(uint256(uint160(account)));
    }

    /// @dev Reads at most one word of the answer. Reverts rather than to count a balance it had no gas to read.
    function _balanceOrZero(address token, address holder) private view returns (uint256 atoms) {
        bytes memory data = abi.encodeCall(IERC20.balanceOf, (holder));
        uint256 stipend = BALANCE_GAS;
        BoundedTransfer.requireGas(stipend);
        assembly ("memory-safe") {
            let success := staticcall(stipend, token, add(data, 0x20), mload(data), 0, 0x20)
            if and(success, gt(returndatasize(), 0x1f)) { atoms := mload(0) }
        }
    }
}
