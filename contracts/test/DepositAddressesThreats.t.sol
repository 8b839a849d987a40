// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {DepositAddressesFixture} from "./DepositAddressesFixture.sol";
import {HookToken, PickyToken, PlainToken, ReentrantToken, TreacherousToken} from "./mocks/OddTokens.sol";
import {TokenHook} from "./mocks/TokenHook.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Create2} from "@openzeppelin/contracts/utils/Create2.sol";
import {DepositAddresses} from "contracts/src/DepositAddresses.sol";
import {DepositForwarder} from "contracts/src/DepositForwarder.sol";
import {IDepositAddresses} from "contracts/src/interfaces/IDepositAddresses.sol";
import {IVault} from "contracts/src/interfaces/IVault.sol";
import {BoundedTransfer} from "contracts/src/libraries/BoundedTransfer.sol";

/// @dev What somebody who wants what lies at other people's deposit addresses, or wants to be in the way, would try.
contract DepositAddressesThreatsTest is DepositAddressesFixture {
    // ------------------------------------------------------ whose deposit it is

    function testFuzz_WhoeverSweepsTheDepositIsTheAccounts(address caller, address account, uint96 amount) public {
        vm.assume(account != address(0) && caller != account && caller != address(vault));
        amount = uint96(bound(amount, NATIVE_MINIMUM, type(uint96).max));
        _sendNative(addresses.addressOf(account), amount);
        uint256 callerBefore = caller.balance;
        vm.prank(caller);
        addresses.sweep(account, NATIVE);
        assertEq(vault.flows(account, NATIVE).deposited, amount);
        assertEq(vault.accounted(NATIVE), amount);
        assertEq(caller.balance, callerBefore);
    }

    function testFuzz_SweepForOneAccountLeavesTheOthersAlone(address other) public {
        vm.assume(other != address(0) && other != alice);
        _sendNative(aliceAddress, 3 ether);
        vm.expectPartialRevert(IDepositAddresses.BelowMinimum.selector);
        addresses.sweep(other, NATIVE);
        assertEq(aliceAddress.balance, 3 ether);
    }

    function test_OwnFactoryWithAnotherVaultGivesOtherAddresses() public {
        address evilVault = address(new PlainToken());
        vm.startPrank(stranger);
        DepositAddresses evil = new DepositAddresses(address(manager), IVault(evilVault));
        vm.stopPrank();
        assertNotEq(evil.addressOf(alice), aliceAddress);
        DepositAddresses twin = new DepositAddresses(address(manager), vault);
        assertNotEq(twin.addressOf(alice), aliceAddress);
        DepositForwarder forwarder = _forwarder(alice);
        vm.expectRevert(abi.encodeWithSelector(DepositForwarder.OnlyFactory.selector, address(twin)));
        vm.prank(address(twin));
        forwarder.forward(NATIVE, 0);
    }

    /// @dev The same code and salt from anybody but the factory land somewhere else.
    function test_NobodyElseCanPutCodeAtADepositAddress() public {
        bytes memory initCode = abi.encodePacked(type(DepositForwarder).creationCode, abi.encode(vault, alice));
        address elsewhere = Create2.deploy(0, bytes32(uint256(uint160(alice))), initCode);
        assertNotEq(elsewhere, aliceAddress);
        assertEq(aliceAddress.code.length, 0);
    }

    function test_DeployingFirstChangesNothing() public {
        vm.prank(stranger);
        addresses.deploy(alice);
        _sendNative(aliceAddress, 3 ether);
        vm.prank(stranger);
        addresses.sweep(alice, NATIVE);
        assertEq(vault.flows(alice, NATIVE).deposited, 3 ether);
    }

    // ------------------------------------------------- arriving, whatever the way

    function test_AcceptsSendsWithTheBareStipendBeforeAndAfterItHasCode() public {
        _sendWithBareStipend(1 ether);
        addresses.sweep(alice, NATIVE);
        assertGt(aliceAddress.code.length, 0);
        _sendWithBareStipend(2 ether);
        addresses.sweep(alice, NATIVE);
        assertEq(vault.flows(alice, NATIVE).deposited, 3 ether);
    }

    function test_WhatIsForcedInIsSweptAsAnyArrival() public {
        addresses.deploy(alice);
        bytes memory code = abi.encodePacked(hex"73", aliceAddress, hex"ff"); // PUSH20 heir, SELFDESTRUCT
        vm.deal(address(this), 1 ether);
        assembly ("memory-safe") {
            pop(create(1000000000000000000, add(code, 0x20), mload(code)))
        }
        addresses.sweep(alice, NATIVE);
        assertEq(vault.flows(alice, NATIVE).deposited, 1 ether);
    }

    function test_SendsWithDataAreRefusedOnceItHasCode() public {
        addresses.deploy(alice);
        vm.deal(stranger, 1 ether);
        vm.prank(stranger);
        (bool ok,) = aliceAddress.call{value: 1 ether}("hello");
        assertFalse(ok);
    }

    // ------------------------------------------------------ dust and minimums

    function testFuzz_DustCannotMakeTheExchangeCountDeposits(uint8 sends) public {
        sends = uint8(bound(sends, 1, 20));
        for (uint256 i = 0; i < sends; ++i) {
            _sendNative(aliceAddress, 1);
            vm.expectPartialRevert(IDepositAddresses.BelowMinimum.selector);
            vm.prank(stranger);
            addresses.sweep(alice, NATIVE);
        }
        assertEq(vault.depositCount(), 0);
    }

    function test_DustIsSweptWithWhatComesLater() public {
        _sendNative(aliceAddress, 1);
        _sendNative(aliceAddress, NATIVE_MINIMUM);
        addresses.sweep(alice, NATIVE);
        assertEq(vault.flows(alice, NATIVE).deposited, NATIVE_MINIMUM + 1);
    }

    function test_NoMinimumHoweverHighKeepsTheAccountFromItsFunds() public {
        _list(NATIVE, type(uint256).max);
        _sendNative(aliceAddress, 3 ether);
        vm.expectPartialRevert(IDepositAddresses.BelowMinimum.selector);
        addresses.sweep(alice, NATIVE);
        vm.prank(alice);
        addresses.sweep(alice, NATIVE);
        assertEq(vault.flows(alice, NATIVE).deposited, 3 ether);
        vm.expectRevert(
            abi.encodeWithSelector(IDepositAddresses.BelowMinimum.selector, alice, NATIVE, uint256(0), uint256(1))
        );
        vm.prank(alice);
        addresses.sweep(alice, NATIVE);
    }

    function test_UnlistedTokenWaitsForItsAccountOrForTheListing() public {
        usdc.mint(aliceAddress, 5e6);
        _list(address(usdc), 0);
        vm.expectRevert(abi.encodeWithSelector(IDepositAddresses.TokenNotListed.selector, address(usdc)));
        vm.prank(alice);
        addresses.sweep(alice, address(usdc));
        _list(address(usdc), USDC_MINIMUM);
        addresses.sweep(alice, address(usdc));
        assertEq(vault.flows(alice, address(usdc)).deposited, 5e6);
    }

    // ------------------------------------------------------- a vault that is shut

    function test_WaitsWhileTheVaultIsPaused() public {
        _sendNative(aliceAddress, 3 ether);
        vm.prank(guardian);
        vault.pause();
        vm.expectRevert(abi.encodeWithSelector(IVault.VaultPaused.selector, vault.pausedUntil()));
        addresses.sweep(alice, NATIVE);
        _assertBatchSkips(alice, NATIVE);
        assertEq(aliceAddress.balance, 3 ether);
        vm.warp(vault.pausedUntil());
        addresses.sweep(alice, NATIVE);
        assertEq(vault.flows(alice, NATIVE).deposited, 3 ether);
    }

    function test_StaysWithTheAccountWhenTheVaultIsFrozen() public {
        _sendNative(aliceAddress, 3 ether);
        _freezeVault();
        vm.expectRevert(IVault.VaultFrozen.selector);
        addresses.sweep(alice, NATIVE);
        _assertBatchSkips(alice, NATIVE);
        DepositForwarder forwarder = _forwarder(alice);
        vm.prank(alice);
        forwarder.withdraw(NATIVE, 3 ether, destination);
        assertEq(destination.balance, 3 ether);
    }

    // ------------------------------------------------------------ hostile tokens

    function testFuzz_HostileTokenHoldsUpNeitherTheBatchNorItsGas(uint8 where, uint8 mood) public {
        TreacherousToken token = new TreacherousToken();
        token.mint(aliceAddress, 100);
        _list(address(token), 1);
        bytes4[3] memory functions = [IERC20.balanceOf.selector, IERC20.approve.selector, IERC20.transferFrom.selector];
        token.misbehave(functions[where % 3], TreacherousToken.Mood(mood % 3));
        _sendNative(aliceAddress, 3 ether);
        IDepositAddresses.Sweep[] memory sweeps = new IDepositAddresses.Sweep[](2);
        sweeps[0] = _item(alice, address(token));
        sweeps[1] = _item(alice, NATIVE);
        vm.expectEmit(address(addresses));
        emit IDepositAddresses.Swept(alice, NATIVE, 3 ether, 1);
        uint256 gasBefore = gasleft();
        addresses.sweepBatch(sweeps);
        assertLt(gasBefore - gasleft(), 2 * addresses.SWEEP_GAS());
        assertEq(vault.accounted(address(token)), 0);
        assertEq(vault.depositCount(), 1);
    }

    function testFuzz_HostileTokenHidesNoOtherBalance(uint8 mood) public {
        TreacherousToken token = new TreacherousToken();
        token.mint(aliceAddress, 100);
        token.misbehave(IERC20.balanceOf.selector, TreacherousToken.Mood(mood % 4));
        usdc.mint(aliceAddress, 5e6);
        address[] memory accounts = new address[](1);
        accounts[0] = alice;
        address[] memory tokens = new address[](3);
        (tokens[0], tokens[1], tokens[2]) = (address(token), address(usdc), stranger);
        uint256 gasBefore = gasleft();
        uint256[] memory atoms = addresses.balances(accounts, tokens);
        assertLt(gasBefore - gasleft(), 2 * addresses.BALANCE_GAS());
        assertEq(atoms[0], 0);
        assertEq(atoms[1], 5e6);
        assertEq(atoms[2], 0);
    }

    function test_TokenThatBlocksTheVaultOnlyWaits() public {
        PickyToken token = new PickyToken();
        token.mint(aliceAddress, 100);
        _list(address(token), 1);
        token.setBlocked(address(vault), true);
        _assertBatchSkips(alice, address(token));
        assertEq(token.balanceOf(aliceAddress), 100);
        token.setBlocked(address(vault), false);
        addresses.sweep(alice, address(token));
        assertEq(vault.flows(alice, address(token)).deposited, 100);
    }

    // --------------------------------------------------------------- reentrancy

    /// @dev The token calls while the forwarder approves the vault: nothing is locked but the sweep itself.
    function test_TokenCannotSweepAgainWhileItIsSwept() public {
        ReentrantToken token = new ReentrantToken();
        token.mint(aliceAddress, 100);
        _list(address(token), 1);
        _sendNative(aliceAddress, 3 ether);
        token.setCallback(address(addresses), abi.encodeCall(addresses.sweep, (alice, NATIVE)));
        addresses.sweep(alice, address(token));
        assertTrue(token.called());
        assertFalse(token.succeeded());
        assertEq(aliceAddress.balance, 3 ether);
        assertEq(vault.flows(alice, address(token)).deposited, 100);
        assertEq(vault.depositCount(), 1);
    }

    function test_TokenCannotSmuggleASweepInThroughABatch() public {
        ReentrantToken token = new ReentrantToken();
        token.mint(aliceAddress, 100);
        _list(address(token), 1);
        _sendNative(aliceAddress, 3 ether);
        IDepositAddresses.Sweep[] memory sweeps = new IDepositAddresses.Sweep[](1);
        sweeps[0] = _item(alice, NATIVE);
        token.setCallback(address(addresses), abi.encodeCall(addresses.sweepBatch, (sweeps)));
        addresses.sweep{gas: 10_000_000}(alice, address(token));
        assertTrue(token.called());
        assertEq(aliceAddress.balance, 3 ether);
        assertEq(vault.depositCount(), 1);
    }

    function test_SenderWithAHookGainsNothingFromSendingWhileItSweeps() public {
        HookToken token = new HookToken();
        TokenHook attacker = new TokenHook();
        token.mint(address(attacker), 100);
        _list(address(token), 1);
        attacker.act(address(token), abi.encodeCall(HookToken.setHook, (attacker)));
        attacker.onSend(address(addresses), abi.encodeCall(addresses.sweep, (address(attacker), address(token))));
        address own = addresses.addressOf(address(attacker));
        attacker.act(address(token), abi.encodeCall(IERC20.transfer, (own, 100)));
        assertTrue(attacker.called());
        assertFalse(attacker.succeeded());
        addresses.sweep(address(attacker), address(token));
        assertEq(vault.accounted(address(token)), 100);
    }

    // ---------------------------------------------------------------------- gas

    function testFuzz_StarvedBatchNeverSkipsWhatCouldBeSwept(uint256 gasLimit) public {
        gasLimit = bound(gasLimit, 50_000, 4_000_000);
        _sendNative(aliceAddress, 3 ether);
        IDepositAddresses.Sweep[] memory sweeps = new IDepositAddresses.Sweep[](1);
        sweeps[0] = _item(alice, NATIVE);
        (bool ok,) = address(addresses).call{gas: gasLimit}(abi.encodeCall(addresses.sweepBatch, (sweeps)));
        assertEq(vault.depositCount(), ok ? 1 : 0);
    }

    function test_SaysWhenABatchHasTooLittleGas() public {
        IDepositAddresses.Sweep[] memory sweeps = new IDepositAddresses.Sweep[](1);
        sweeps[0] = _item(alice, NATIVE);
        vm.expectPartialRevert(BoundedTransfer.NotEnoughGas.selector);
        addresses.sweepBatch{gas: 1_000_000}(sweeps);
    }

    function test_SweepThatDeploysLeavesAThirdOfItsGas() public {
        usdc.mint(aliceAddress, 5e6);
        uint256 gasBefore = gasleft();
        addresses.sweep(alice, address(usdc));
        assertLt(gasBefore - gasleft(), addresses.SWEEP_GAS() * 2 / 3);
    }

    function _sendWithBareStipend(uint256 amount) private {
        vm.deal(stranger, amount);
        vm.prank(stranger);
        (bool ok,) = aliceAddress.call{value: amount, gas: 0}(""); // the receiver gets 2,300
        assertTrue(ok);
    }

    function _assertBatchSkips(address account, address token) private {
        IDepositAddresses.Sweep[] memory sweeps = new IDepositAddresses.Sweep[](1);
        sweeps[0] = _item(account, token);
        vm.expectEmit(address(addresses));
        emit IDepositAddresses.SweepSkipped(account, token);
        addresses.sweepBatch(sweeps);
    }
}
