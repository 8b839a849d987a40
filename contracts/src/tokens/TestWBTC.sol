// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {DevelopmentToken} from "./DevelopmentToken.sol";

/// @title Stand-in for WBTC on development chains: 8 decimals and ERC-2612 permit.
contract TestWBTC is DevelopmentToken("WBTC", 8) {}
