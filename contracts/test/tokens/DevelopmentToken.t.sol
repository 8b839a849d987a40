// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {DevelopmentToken} from "contracts/src/tokens/DevelopmentToken.sol";
import {TestUSDC} from "contracts/src/tokens/TestUSDC.sol";
import {TestWBTC} from "contracts/src/tokens/TestWBTC.sol";
import {Test} from "forge-std/Test.sol";

contract DevelopmentTokenTest is Test {
    function test_TokensLookLikeWhatTheyStandFor() public {
        _assertMetadata(new TestUSDC(), "USDC", 6);
        _assertMetadata(new TestWBTC(), "WBTC", 8);
    }

    function testFuzz_AnyoneMints(address caller, uint256 amount) public {
        TestUSDC usdc = new TestUSDC();
        vm.prank(caller);
        usdc.mint(address(this), amount);
        assertEq(usdc.balanceOf(address(this)), amount);
    }

    function testFuzz_RefusesToExistOnARealChain(uint64 chainId) public {
        vm.assume(chainId != 31_337 && chainId != 0);
        vm.chainId(chainId);
        vm.expectRevert(abi.encodeWithSelector(DevelopmentToken.DevelopmentChainOnly.selector, chainId));
        new TestUSDC();
        vm.expectRevert(abi.encodeWithSelector(DevelopmentToken.DevelopmentChainOnly.selector, chainId));
        new TestWBTC();
    }

    function _assertMetadata(IERC20Metadata token, string memory symbol, uint8 decimals) private view {
        assertEq(token.symbol(), symbol);
        assertEq(token.name(), symbol);
        assertEq(token.decimals(), decimals);
    }
}
