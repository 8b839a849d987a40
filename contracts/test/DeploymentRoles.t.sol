// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {DeploymentFixture} from "./DeploymentFixture.sol";
import {IAccessManager} from "@openzeppelin/contracts/access/manager/IAccessManager.sol";
import {BalanceRoots} from "contracts/src/BalanceRoots.sol";
import {IDepositAddresses} from "contracts/src/interfaces/IDepositAddresses.sol";
import {IVault} from "contracts/src/interfaces/IVault.sol";

/// @dev Who can do what after a deployment, and what a stolen key is good for. What the admin can do in time, and how
/// it is stopped, is in DeploymentDelays.
contract DeploymentRolesTest is DeploymentFixture {
    // ---------------------------------------------------------------- deployer

    function test_DeployerKeepsNoPowerAtAll() public {
        (bytes[] memory calls, address[] memory targets) = _restrictedCalls();
        for (uint256 i = 0; i < calls.length; ++i) {
            _assertRefusedAtOnce(deployer, targets[i], calls[i]);
            vm.expectRevert();
            vm.prank(deployer);
            manager.schedule(targets[i], calls[i], 0);
        }
        for (uint64 role = 0; role <= SETTINGS_ROLE; ++role) {
            (bool isMember,) = manager.hasRole(role, deployer);
            assertFalse(isMember);
        }
        vm.expectRevert(
            abi.encodeWithSelector(IAccessManager.AccessManagerUnauthorizedAccount.selector, deployer, ADMIN_ROLE)
        );
        vm.prank(deployer);
        manager.grantRole(ADMIN_ROLE, deployer, 0);
    }

    // ------------------------------------------------------------ admin's delay

    function test_AdminChangesNothingAtOnce() public {
        (bytes[] memory calls, address[] memory targets) = _adminCalls();
        for (uint256 i = 0; i < calls.length; ++i) {
            _assertRefusedAtOnce(admin, targets[i], calls[i]);
        }
    }

    function testFuzz_AdminsChangeRunsAfterItsDelayAndNotBefore(uint256 wait) public {
        bytes memory call = abi.encodeCall(IVault.setOutflowLimit, (NATIVE, 5 ether, 1 days));
        vm.startPrank(admin);
        (bytes32 id,) = manager.schedule(address(vault), call, 0);
        uint256 scheduledAt = block.timestamp;
        skip(bound(wait, 0, ADMIN_DELAY - 1));
        vm.expectRevert(abi.encodeWithSelector(IAccessManager.AccessManagerNotReady.selector, id));
        vault.setOutflowLimit(NATIVE, 5 ether, 1 days);
        vm.warp(scheduledAt + ADMIN_DELAY);
        vault.setOutflowLimit(NATIVE, 5 ether, 1 days);
        (uint256 limit,,) = vault.outflow(NATIVE);
        assertEq(limit, 5 ether);
        vm.expectRevert(abi.encodeWithSelector(IAccessManager.AccessManagerNotScheduled.selector, id));
        vault.setOutflowLimit(NATIVE, 5 ether, 1 days);
    }

    function test_AdminsForgottenChangeExpires() public {
        bytes memory call = abi.encodeCall(IDepositAddresses.setMinimum, (NATIVE, 0));
        vm.startPrank(admin);
        (bytes32 id,) = manager.schedule(address(addresses), call, 0);
        skip(ADMIN_DELAY + manager.expiration());
        vm.expectRevert(abi.encodeWithSelector(IAccessManager.AccessManagerExpired.selector, id));
        addresses.setMinimum(NATIVE, 0);
    }

    function test_AdminRunsNothingElseThanWhatItScheduled() public {
        vm.startPrank(admin);
        manager.schedule(address(vault), abi.encodeCall(IVault.setOutflowLimit, (NATIVE, 5 ether, 1 days)), 0);
        skip(ADMIN_DELAY);
        vm.expectPartialRevert(IAccessManager.AccessManagerNotScheduled.selector);
        vault.setOutflowLimit(NATIVE, 500 ether, 1 days);
    }

    function test_AdminsUnwelcomeChangeCanBeCancelledBeforeItRuns() public {
        bytes memory call = abi.encodeCall(IVault.setOutflowLimit, (NATIVE, 0, 0));
        vm.startPrank(admin);
        (bytes32 id,) = manager.schedule(address(vault), call, 0);
        manager.cancel(admin, address(vault), call);
        skip(ADMIN_DELAY);
        vm.expectRevert(abi.encodeWithSelector(IAccessManager.AccessManagerNotScheduled.selector, id));
        vault.setOutflowLimit(NATIVE, 0, 0);
    }

    // ------------------------------------------------------------- stolen keys

    function test_SendersKeyAlonePaysNothing() public {
        IVault.Payment[] memory payments = _payments();
        bytes[] memory signatures = new bytes[](1);
        vm.expectEmit(address(vault));
        emit IVault.PaymentSkipped(payments[0].id, IVault.SkipReason.BadSignature);
        vm.prank(sender);
        vault.withdraw(payments, signatures);
        assertEq(thief.balance, 0);
    }

    function test_SignersKeyAlonePaysNothing() public {
        IVault.Payment[] memory payments = _payments();
        bytes[] memory signatures = _signed(payments, signerKey);
        address[5] memory others = [signer, admin, publisher, deployer, thief];
        for (uint256 i = 0; i < others.length; ++i) {
            _assertRefusedAtOnce(others[i], address(vault), abi.encodeCall(IVault.withdraw, (payments, signatures)));
        }
        assertEq(thief.balance, 0);
    }

    function test_EveryRoleHasOneHolderAndNoKeyHoldsTwoButTheAdmin() public view {
        address[6] memory holders = [admin, signer, sender, guardian, publisher, admin];
        for (uint64 role = ADMIN_ROLE; role <= SETTINGS_ROLE; ++role) {
            for (uint256 i = 0; i < holders.length; ++i) {
                (bool isMember,) = manager.hasRole(role, holders[i]);
                assertEq(isMember, holders[i] == holders[role]);
            }
        }
    }

    function test_GuardianStopsAtOnceButMovesAndChangesNothing() public {
        IVault.Payment[] memory payments = _payments();
        (bytes[] memory calls, address[] memory targets) = _adminCalls();
        for (uint256 i = 0; i < calls.length; ++i) {
            _assertRefusedAtOnce(guardian, targets[i], calls[i]);
            vm.expectPartialRevert(IAccessManager.AccessManagerUnauthorizedCall.selector);
            vm.prank(guardian);
            manager.schedule(targets[i], calls[i], 0);
        }
        _assertRefusedAtOnce(
            guardian, address(vault), abi.encodeCall(IVault.withdraw, (payments, _signed(payments, signerKey)))
        );
        vm.prank(guardian);
        vault.pause();
        vm.expectRevert(abi.encodeWithSelector(IVault.VaultPaused.selector, vault.pausedUntil()));
        vm.prank(sender);
        vault.withdraw(payments, new bytes[](1));
    }

    function test_PublishersKeyTouchesNothingButTheRoots() public {
        (bytes[] memory calls, address[] memory targets) = _restrictedCalls();
        for (uint256 i = 0; i < calls.length; ++i) {
            if (targets[i] != address(roots)) _assertRefusedAtOnce(publisher, targets[i], calls[i]);
        }
        vm.prank(publisher);
        roots.publish("root", 1, uint64(block.number));
        assertEq(roots.count(), 1);
    }

    function test_BothOperatorKeysTogetherAreBoundByTheLimitAndTheGuardian() public {
        vault.depositNative{value: 4_000 ether}(alice);
        for (uint256 i = 0; i < 30; ++i) {
            IVault.Payment[] memory payments = _payments();
            payments[0].id = bytes32(i);
            bytes[] memory signatures = _signed(payments, signerKey);
            vm.prank(sender);
            vault.withdraw(payments, signatures);
        }
        assertEq(thief.balance, OUTFLOW_LIMIT);
        vm.prank(guardian);
        vault.pause();
        assertEq(address(vault).balance, 4_100 ether - OUTFLOW_LIMIT);
    }

    // ----------------------------------------------------------------- private

    /// @dev Everything of our contracts that any role may do.
    function _restrictedCalls() private view returns (bytes[] memory calls, address[] memory targets) {
        (bytes[] memory settings, address[] memory settingsTargets) = _settingsCalls();
        calls = new bytes[](8);
        targets = new address[](8);
        for (uint256 i = 0; i < 4; ++i) {
            (calls[i], targets[i]) = (settings[i], settingsTargets[i]);
        }
        calls[4] = abi.encodeCall(IVault.withdraw, (_payments(), new bytes[](1)));
        calls[5] = abi.encodeCall(IVault.pause, ());
        calls[6] = abi.encodeCall(IVault.unpause, ());
        for (uint256 i = 4; i < 7; ++i) {
            targets[i] = address(vault);
        }
        (calls[7], targets[7]) = (abi.encodeCall(BalanceRoots.publish, ("root", 1, 1)), address(roots));
    }
}
