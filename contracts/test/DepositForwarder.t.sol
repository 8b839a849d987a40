// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {DepositAddressesFixture} from "./DepositAddressesFixture.sol";
import {Collectible} from "./mocks/Collectible.sol";
import {NoReturnToken, PickyToken, PlainToken, SelfServiceToken} from "./mocks/OddTokens.sol";
import {DepositForwarder} from "contracts/src/DepositForwarder.sol";
import {IVault} from "contracts/src/interfaces/IVault.sol";

contract DepositForwarderTest is DepositAddressesFixture {
    DepositForwarder private forwarder;

    function setUp() public override {
        super.setUp();
        forwarder = _forwarder(alice);
    }

    function test_KnowsWhoseItIs() public view {
        assertEq(address(forwarder), aliceAddress);
        assertEq(forwarder.account(), alice);
        assertEq(address(forwarder.vault()), address(vault));
        assertEq(address(forwarder.factory()), address(addresses));
    }

    // ------------------------------------------------------- what is not listed

    function test_AccountTakesOutAnUnlistedToken() public {
        PlainToken token = new PlainToken();
        token.mint(aliceAddress, 100);
        vm.prank(alice);
        forwarder.withdraw(address(token), 60, destination);
        assertEq(token.balanceOf(destination), 60);
        assertEq(token.balanceOf(aliceAddress), 40);
    }

    function test_AccountTakesOutAnUnlistedTokenThatAnswersNothing() public {
        NoReturnToken token = new NoReturnToken();
        token.mint(aliceAddress, 100);
        vm.prank(alice);
        forwarder.withdraw(address(token), 100, destination);
        assertEq(token.balanceOf(destination), 100);
    }

    function test_AccountTakesOutACollectible() public {
        Collectible token = new Collectible();
        token.mint(aliceAddress, 7);
        vm.prank(alice);
        forwarder.withdrawNft(address(token), 7, destination);
        assertEq(token.ownerOf(7), destination);
    }

    function test_AccountTakesNativeOutWhileItIsUnlisted() public {
        _list(NATIVE, 0);
        _sendNative(aliceAddress, 3 ether);
        vm.prank(alice);
        forwarder.withdraw(NATIVE, 1 ether, destination);
        assertEq(destination.balance, 1 ether);
        assertEq(aliceAddress.balance, 2 ether);
    }

    function testFuzz_NobodyElseTakesAnythingOut(address caller) public {
        vm.assume(caller != alice);
        PlainToken token = new PlainToken();
        token.mint(aliceAddress, 100);
        Collectible collectible = new Collectible();
        collectible.mint(aliceAddress, 7);
        bytes memory reason = abi.encodeWithSelector(DepositForwarder.OnlyAccount.selector, caller);
        vm.startPrank(caller);
        vm.expectRevert(reason);
        forwarder.withdraw(address(token), 100, caller);
        vm.expectRevert(reason);
        forwarder.withdrawNft(address(collectible), 7, caller);
    }

    function test_SaysWhenATokenRefusesToGo() public {
        PickyToken token = new PickyToken();
        token.mint(aliceAddress, 100);
        token.setBlocked(destination, true);
        bytes memory reason =
            abi.encodeWithSelector(IVault.TransferFailed.selector, address(token), destination, uint256(100));
        vm.startPrank(alice);
        vm.expectRevert(reason);
        forwarder.withdraw(address(token), 100, destination);
        token.setAnswersFalse(true);
        vm.expectRevert(reason);
        forwarder.withdraw(address(token), 100, destination);
        assertEq(token.balanceOf(aliceAddress), 100);
    }

    function test_RejectsDestinationsThatLoseThings() public {
        vm.startPrank(alice);
        address[2] memory losing = [address(0), aliceAddress];
        for (uint256 i = 0; i < losing.length; ++i) {
            bytes memory reason = abi.encodeWithSelector(IVault.InvalidDestination.selector, losing[i]);
            vm.expectRevert(reason);
            forwarder.withdraw(address(wbtc), 0, losing[i]);
            vm.expectRevert(reason);
            forwarder.withdrawNft(address(wbtc), 0, losing[i]);
        }
    }

    // ------------------------------------------------------------ what is listed

    function test_AccountCannotTakeOutWhatIsListed() public {
        _sendNative(aliceAddress, 3 ether);
        usdc.mint(aliceAddress, 5e6);
        vm.startPrank(alice);
        vm.expectRevert(abi.encodeWithSelector(DepositForwarder.TokenListed.selector, NATIVE));
        forwarder.withdraw(NATIVE, 3 ether, alice);
        vm.expectRevert(abi.encodeWithSelector(DepositForwarder.TokenListed.selector, address(usdc)));
        forwarder.withdraw(address(usdc), 5e6, alice);
    }

    /// @dev ERC-20 and ERC-721 have the same `transferFrom`; old wrapped ether would let it through here.
    function test_AccountCannotTakeOutWhatIsListedAsACollectible() public {
        SelfServiceToken token = new SelfServiceToken();
        token.mint(aliceAddress, 100);
        _list(address(token), 1);
        vm.expectRevert(abi.encodeWithSelector(DepositForwarder.TokenListed.selector, address(token)));
        vm.prank(alice);
        forwarder.withdrawNft(address(token), 100, alice);
        addresses.sweep(alice, address(token));
        assertEq(vault.flows(alice, address(token)).deposited, 100);
    }

    function test_AccountTakesOutWhatIsNoLongerListed() public {
        usdc.mint(aliceAddress, 5e6);
        _list(address(usdc), 0);
        vm.prank(alice);
        forwarder.withdraw(address(usdc), 5e6, destination);
        assertEq(usdc.balanceOf(destination), 5e6);
    }

    function test_AccountTakesOutWhatIsListedWhenTheVaultIsFrozen() public {
        SelfServiceToken token = new SelfServiceToken();
        token.mint(aliceAddress, 100);
        _list(address(token), 1);
        _sendNative(aliceAddress, 3 ether);
        usdc.mint(aliceAddress, 5e6);
        _freezeVault();
        vm.startPrank(alice);
        forwarder.withdraw(NATIVE, 3 ether, destination);
        forwarder.withdraw(address(usdc), 5e6, destination);
        forwarder.withdrawNft(address(token), 100, destination);
        assertEq(destination.balance, 3 ether);
        assertEq(usdc.balanceOf(destination), 5e6);
        assertEq(token.balanceOf(destination), 100);
    }

    // ------------------------------------------------------------------ forward

    function testFuzz_OnlyTheFactoryOrdersASweep(address caller) public {
        vm.assume(caller != address(addresses));
        _sendNative(aliceAddress, 3 ether);
        vm.expectRevert(abi.encodeWithSelector(DepositForwarder.OnlyFactory.selector, caller));
        vm.prank(caller);
        forwarder.forward(NATIVE, 3 ether);
    }
}
