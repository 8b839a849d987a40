// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";

/// @title A worthless token for development chains only.
/// @notice Anyone can mint any amount, so it refuses to be deployed anywhere but on a development chain.
abstract contract DevelopmentToken is ERC20Permit {
    /// @notice The chain id development nodes use.
    uint256 public constant DEVELOPMENT_CHAIN_ID = 31_337;

    uint8 private immutable _decimals;

    /// @notice This token must not exist on a real chain.
    error DevelopmentChainOnly(uint256 chainId);

    constructor(string memory symbol_, uint8 decimals_) ERC20(symbol_, symbol_) ERC20Permit(symbol_) {
        if (block.chainid != DEVELOPMENT_CHAIN_ID) revert DevelopmentChainOnly(block.chainid);
        _decimals = decimals_;
    }

    /// @notice Creates `amount` atoms out of nothing.
    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    /// @inheritdoc ERC20
    function decimals() public view virtual override returns (uint8) {
        return _decimals;
    }
}
