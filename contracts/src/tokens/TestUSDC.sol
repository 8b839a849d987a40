// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {DevelopmentToken} from "./DevelopmentToken.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC3009} from "@openzeppelin/contracts/token/ERC20/extensions/draft-ERC3009.sol";

/// @title Stand-in for USDC on development chains: 6 decimals, ERC-2612 permit and ERC-3009 authorizations.
contract TestUSDC is DevelopmentToken("USDC", 6), ERC3009 {
    /// @notice Number of decimals of one USDC.
    function decimals() public view override(DevelopmentToken, ERC20) returns (uint8) {
        return DevelopmentToken.decimals();
    }
}
