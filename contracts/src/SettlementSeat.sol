// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ISettlementModule} from "./interfaces/ISettlementModule.sol";
import {IVault} from "./interfaces/IVault.sol";
import {BoundedTransfer} from "./libraries/BoundedTransfer.sol";
import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

/// @title The seat of the settlement module.
/// @notice The vault cannot be upgraded, so the place for a later trustless exit is kept free here. It is taken at most
/// once, after a notice long enough for everyone who does not trust the module to leave.
abstract contract SettlementSeat is IVault, AccessManaged, ReentrancyGuardTransient {
    /// @notice Time between the proposal of a module and its activation.
    uint256 public constant SETTLEMENT_NOTICE_SECONDS = 30 days;

    /// @notice Gas for one `mayPay`: enough to verify a succinct proof several times over.
    uint256 public constant MODULE_GAS = 1_000_000;

    /// @inheritdoc IVault
    address public settlementModule;
    /// @inheritdoc IVault
    bool public frozen;

    address private _proposed;
    uint256 private _activatableAt;

    modifier onlySettlementModule() {
        _requireSettlementModule();
        _;
    }

    /// @inheritdoc IVault
    function proposeSettlementModule(address module) external restricted {
        if (settlementModule != address(0)) revert SettlementModuleAlreadySet(settlementModule);
        if (module != address(0) && module.code.length == 0) revert SettlementModuleWithoutCode(module);
        _proposed = module;
        _activatableAt = module == address(0) ? 0 : block.timestamp + SETTLEMENT_NOTICE_SECONDS;
        emit SettlementModuleProposed(module, _activatableAt);
    }

    /// @inheritdoc IVault
    function activateSettlementModule() external restricted nonReentrant {
        address module = _proposed;
        if (module == address(0)) revert NoSettlementModuleProposed();
        if (block.timestamp < _activatableAt) revert SettlementModuleNoticeRunning(_activatableAt);
        if (module.code.length == 0) revert SettlementModuleWithoutCode(module);
        settlementModule = module;
        _proposed = address(0);
        _activatableAt = 0;
        emit SettlementModuleActivated(module);
    }

    /// @inheritdoc IVault
    function freeze() external onlySettlementModule nonReentrant {
        _requireNotFrozen();
        frozen = true;
        emit Frozen();
    }

    /// @inheritdoc IVault
    function proposedSettlementModule() external view returns (address module, uint256 activatableAt) {
        return (_proposed, _activatableAt);
    }

    function _requireNotFrozen() internal view {
        if (frozen) revert VaultFrozen();
    }

    /// @dev True without a module. Otherwise its answer, where a revert, a short answer or anything but 1 means no.
    function _moduleAllows(Payment calldata payment) internal view returns (bool allowed) {
        address module = settlementModule;
        if (module == address(0)) return true;
        bytes memory data = abi.encodeCall(ISettlementModule.mayPay, (payment));
        uint256 stipend = MODULE_GAS;
        BoundedTransfer.requireGas(stipend);
        assembly ("memory-safe") {
            let success := staticcall(stipend, module, add(data, 0x20), mload(data), 0, 0x20)
            allowed := and(and(success, gt(returndatasize(), 0x1f)), eq(mload(0), 1))
        }
    }

    function _requireSettlementModule() private view {
        if (msg.sender != settlementModule) revert OnlySettlementModule(msg.sender);
    }
}
