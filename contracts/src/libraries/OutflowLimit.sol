// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title Net-outflow limit of one token.
/// @notice A bucket: payments fill it, deposits and time empty it, and a payment that would overflow it is refused.
/// It empties by `limit` per window, evenly, so at most `limit` leaves at once and at most twice that in any window.
/// @dev The level is kept multiplied by the window, which makes the drain exact whatever the update rhythm: with a
/// rounded drain, many tiny deposits could hold it still.
library OutflowLimit {
    using SafeCast for uint256;

    /// @notice A limit needs a window.
    error OutflowWindowMissing();
    /// @notice A limit exceeds 2^128 - 1.
    error OutflowLimitTooLarge(uint256 limit);

    struct Bucket {
        uint128 limit;
        uint64 windowSeconds;
        uint192 scaledLevel; // atoms x windowSeconds
        uint64 updatedAt;
    }

    /// @notice Sets limit and window. What is in use stays in use; limit 0 forgets everything.
    function configure(Bucket storage self, uint256 limit, uint64 windowSeconds) internal {
        if (limit > type(uint128).max) revert OutflowLimitTooLarge(limit);
        if (limit == 0) {
            self.limit = 0;
            self.windowSeconds = 0;
            _store(self, 0);
            return;
        }
        if (windowSeconds == 0) revert OutflowWindowMissing();
        uint256 carried = inUse(self);
        self.limit = limit.toUint128();
        self.windowSeconds = windowSeconds;
        _store(self, carried * windowSeconds);
    }

    /// @notice Whether a payment of `amount` (at most 2^128 - 1) fits now.
    function allows(Bucket storage self, uint256 amount) internal view returns (bool) {
        uint256 limit = self.limit;
        if (limit == 0) return true;
        uint256 windowSeconds = self.windowSeconds;
        return _scaledLevel(self) + amount * windowSeconds <= limit * windowSeconds;
    }

    /// @notice Records a payment that `allows` let through.
    function consume(Bucket storage self, uint256 amount) internal {
        if (self.limit == 0) return;
        _store(self, _scaledLevel(self) + amount * self.windowSeconds);
    }

    /// @notice Records a deposit. Deposits make room used up by payments, they do not save up room.
    function replenish(Bucket storage self, uint256 amount) internal {
        if (self.scaledLevel == 0) return;
        uint256 level = _scaledLevel(self);
        uint256 credit = amount * self.windowSeconds;
        _store(self, level > credit ? level - credit : 0);
    }

    /// @notice Atoms of the limit in use now, rounded up.
    function inUse(Bucket storage self) internal view returns (uint256) {
        uint256 windowSeconds = self.windowSeconds;
        if (windowSeconds == 0) return 0;
        return (_scaledLevel(self) + windowSeconds - 1) / windowSeconds;
    }

    function _scaledLevel(Bucket storage self) private view returns (uint256) {
        uint256 level = self.scaledLevel;
        uint256 drained = uint256(self.limit) * (block.timestamp - self.updatedAt);
        return level > drained ? level - drained : 0;
    }

    function _store(Bucket storage self, uint256 scaledLevel) private {
        self.scaledLevel = scaledLevel.toUint192();
        self.updatedAt = block.timestamp.toUint64();
    }
}
