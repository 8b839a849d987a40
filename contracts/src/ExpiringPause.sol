// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IVault} from "./interfaces/IVault.sol";
import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";

/// @title A pause that ends by itself.
/// @notice A guardian can stop deposits and withdrawals for a while, to stop a theft in progress, but cannot hold the
/// funds: after each pause there is a time in which none can start.
abstract contract ExpiringPause is IVault, AccessManaged {
    /// @notice How long a pause lasts.
    uint256 public constant PAUSE_SECONDS = 3 days;

    /// @notice How long after the end of a pause none can start.
    uint256 public constant PAUSE_COOL_DOWN_SECONDS = 1 days;

    /// @inheritdoc IVault
    uint256 public pausedUntil;

    /// @inheritdoc IVault
    function pause() external restricted {
        _requireNotPaused();
        uint256 allowedFrom = pausedUntil == 0 ? 0 : pausedUntil + PAUSE_COOL_DOWN_SECONDS;
        if (block.timestamp < allowedFrom) revert PauseCoolingDown(allowedFrom);
        pausedUntil = block.timestamp + PAUSE_SECONDS;
        emit Paused(pausedUntil);
    }

    /// @inheritdoc IVault
    function unpause() external restricted {
        if (block.timestamp >= pausedUntil) revert VaultNotPaused();
        pausedUntil = block.timestamp;
        emit Unpaused();
    }

    function _requireNotPaused() internal view {
        if (block.timestamp < pausedUntil) revert VaultPaused(pausedUntil);
    }
}
