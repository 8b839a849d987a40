// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IVault} from "./IVault.sol";

/// @title What the vault asks of a settlement module.
/// @notice A module, once active, has a say over every payment and may release funds without the operator.
interface ISettlementModule {
    /// @notice Whether the payment may run now. Called read-only and with bounded gas; a revert means no.
    function mayPay(IVault.Payment calldata payment) external view returns (bool);
}
