// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {VaultFixture} from "./VaultFixture.sol";
import {MoodyReceiver} from "./mocks/Receivers.sol";
import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import {IVault} from "contracts/src/interfaces/IVault.sol";

contract ExpiringPauseTest is VaultFixture {
    uint256 private pauseSeconds;
    uint256 private coolDownSeconds;

    function setUp() public override {
        super.setUp();
        pauseSeconds = vault.PAUSE_SECONDS();
        coolDownSeconds = vault.PAUSE_COOL_DOWN_SECONDS();
        _depositNative(alice, 10 ether);
        _withdraw(_payment(99, NATIVE, 1 ether, address(new MoodyReceiver())));
    }

    function test_PauseStopsDepositsAndWithdrawals() public {
        vm.expectEmit(address(vault));
        emit IVault.Paused(block.timestamp + pauseSeconds);
        _pause();
        assertEq(vault.pausedUntil(), block.timestamp + pauseSeconds);
        bytes memory reason = abi.encodeWithSelector(IVault.VaultPaused.selector, vault.pausedUntil());
        IVault.Payment[] memory payments = _single(_payment(1, NATIVE, 1 ether));
        bytes[] memory signatures = _signAll(payments);
        vm.expectRevert(reason);
        vm.prank(sender);
        vault.withdraw(payments, signatures);
        vm.expectRevert(reason);
        vault.depositNative{value: 1}(alice);
        vm.expectRevert(reason);
        vault.deposit(alice, address(usdc), 1);
        vm.expectRevert(reason);
        vault.depositWithPermit(alice, address(usdc), 1, 0, 0, 0, 0);
        vm.expectRevert(reason);
        vault.depositWithAuthorization(alice, address(usdc), alice, 1, 0, 0, 0, 0, 0, 0);
    }

    function test_PauseDoesNotStopClaims() public {
        _pause();
        vm.prank(alice);
        assertEq(vault.claim(NATIVE, stranger), 1 ether);
    }

    function test_PauseEndsByItself() public {
        _pause();
        skip(pauseSeconds - 1);
        vm.expectRevert(abi.encodeWithSelector(IVault.VaultPaused.selector, vault.pausedUntil()));
        vault.depositNative{value: 1}(alice);
        skip(1);
        _depositNative(alice, 1);
        _withdraw(_payment(1, NATIVE, 1 ether));
        assertTrue(vault.used(bytes32(uint256(1))));
    }

    function test_GuardianEndsThePauseEarly() public {
        _pause();
        vm.expectEmit(address(vault));
        emit IVault.Unpaused();
        vm.prank(guardian);
        vault.unpause();
        _depositNative(alice, 1);
    }

    function test_RejectsPauseWhilePaused() public {
        _pause();
        vm.expectRevert(abi.encodeWithSelector(IVault.VaultPaused.selector, vault.pausedUntil()));
        _pause();
    }

    function test_RejectsUnpauseWhileNotPaused() public {
        vm.startPrank(guardian);
        vm.expectRevert(IVault.VaultNotPaused.selector);
        vault.unpause();
        vault.pause();
        skip(pauseSeconds);
        vm.expectRevert(IVault.VaultNotPaused.selector);
        vault.unpause();
    }

    function testFuzz_RejectsNextPauseDuringTheCoolDown(uint256 wait) public {
        _pause();
        uint256 allowedFrom = vault.pausedUntil() + coolDownSeconds;
        skip(pauseSeconds + bound(wait, 0, coolDownSeconds - 1));
        vm.expectRevert(abi.encodeWithSelector(IVault.PauseCoolingDown.selector, allowedFrom));
        _pause();
        vm.warp(allowedFrom);
        _pause();
    }

    /// @dev A guardian that pauses whenever it can leaves a day in every four.
    function testFuzz_NobodyCanPauseForEver(uint256 seed, bool unpauses) public {
        uint256 start = block.timestamp;
        uint256 open = 0;
        for (uint256 i = 0; i < 100; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            vm.prank(guardian);
            try vault.pause() {} catch {}
            uint256 stepSeconds = 1 + seed % 12 hours;
            if (unpauses && seed >> 252 == 0) {
                vm.prank(guardian);
                try vault.unpause() {} catch {}
            }
            uint256 until = vault.pausedUntil();
            uint256 next = block.timestamp + stepSeconds;
            if (next > until) open += next - (until > block.timestamp ? until : block.timestamp);
            vm.warp(next);
        }
        uint256 lastPause = pauseSeconds; // one may be running at the end, its cool-down still to come
        assertGe(open * 4 + lastPause, block.timestamp - start);
    }

    function test_NobodyWithoutTheRolePausesOrUnpauses() public {
        address[5] memory others = [admin, sender, signer, alice, stranger];
        for (uint256 i = 0; i < others.length; ++i) {
            bytes memory reason = abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, others[i]);
            vm.startPrank(others[i]);
            vm.expectRevert(reason);
            vault.pause();
            vm.expectRevert(reason);
            vault.unpause();
            vm.stopPrank();
        }
    }

    function test_CoolDownStartsWhenThePauseIsEndedEarly() public {
        _pause();
        skip(1 hours);
        vm.prank(guardian);
        vault.unpause();
        vm.expectRevert(abi.encodeWithSelector(IVault.PauseCoolingDown.selector, block.timestamp + coolDownSeconds));
        _pause();
        skip(coolDownSeconds);
        _pause();
    }

    function _pause() private {
        vm.prank(guardian);
        vault.pause();
    }
}
