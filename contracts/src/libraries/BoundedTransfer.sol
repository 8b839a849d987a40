// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @title Transfers that cannot hurt the caller.
/// @notice A receiver or token gets a fixed amount of gas, and at most one word of its answer is read, so it can
/// neither burn a batch's gas nor fill its memory. A transfer that fails says so instead of reverting.
library BoundedTransfer {
    /// @notice Gas for a native receiver: several times what a proxied smart wallet needs to accept.
    uint256 internal constant NATIVE_GAS = 50_000;

    /// @notice Gas for a token: about three times a proxied stablecoin's dearest transfer, with room for repricing.
    uint256 internal constant TOKEN_GAS = 200_000;

    /// @notice Gas a caller must have beyond a stipend: the price of the call itself (cold account, value, new
    /// account: 36,600) and of recording the amount as claimable afterwards (about 47,000).
    uint256 internal constant RESERVE_GAS = 100_000;

    /// @notice The transaction carries too little gas to hand out the full stipend.
    error NotEnoughGas(uint256 available, uint256 needed);

    /// @notice Sends with the fixed stipend. Reverts if the stipend cannot be supplied in full, so that a starved
    /// transaction is never mistaken for a failing receiver.
    /// @return Whether the transfer succeeded.
    function trySend(address token, address to, uint256 amount) internal returns (bool) {
        uint256 stipend = token == address(0) ? NATIVE_GAS : TOKEN_GAS;
        requireGas(stipend);
        return _send(token, to, amount, stipend);
    }

    /// @notice Sends with all the gas there is: for a caller who chose the receiver and pays for the gas.
    /// @return Whether the transfer succeeded.
    function trySendWithAllGas(address token, address to, uint256 amount) internal returns (bool) {
        return _send(token, to, amount, gasleft());
    }

    /// @notice Reverts unless a call made now can be given `stipend` gas: a call passes on at most 63/64 of what is
    /// left (EIP-150).
    function requireGas(uint256 stipend) internal view {
        uint256 needed = stipend + stipend / 63 + RESERVE_GAS;
        uint256 available = gasleft();
        if (available < needed) revert NotEnoughGas(available, needed);
    }

    function _send(address token, address to, uint256 amount, uint256 gasLimit) private returns (bool success) {
        if (token == address(0)) {
            assembly ("memory-safe") {
                success := call(gasLimit, to, amount, 0, 0, 0, 0)
            }
            return success;
        }
        bytes memory data = abi.encodeCall(IERC20.transfer, (to, amount));
        uint256 size;
        uint256 answer;
        assembly ("memory-safe") {
            success := call(gasLimit, token, 0, add(data, 0x20), mload(data), 0, 0x20)
            size := returndatasize()
            answer := mload(0)
        }
        if (!success) return false;
        if (size == 0) return token.code.length > 0; // an old token that answers nothing, not a missing one
        return size >= 32 && answer == 1;
    }
}
