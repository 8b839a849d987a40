// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {DeploymentFixture} from "./DeploymentFixture.sol";
import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";
import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import {IAccessManager} from "@openzeppelin/contracts/access/manager/IAccessManager.sol";
import {IVault} from "contracts/src/interfaces/IVault.sol";

/// @dev What a thief with the admin's key gains, how long it takes, and how it is stopped. The manager lets a grant
/// delay or a target delay count only five days after it was set, so the admin itself waits that much longer at first.
contract DeploymentDelaysTest is DeploymentFixture {
    address private fresh = makeAddr("fresh");
    uint256 private constant FRESH_SIGNER_KEY = 0xBAD;

    // ------------------------------------------------------------ the guardian

    function test_GuardianCancelsWhateverTheAdminHasScheduled() public {
        (bytes[] memory calls, address[] memory targets) = _adminCalls();
        for (uint256 i = 0; i < calls.length; ++i) {
            bytes32 id = _schedule(targets[i], calls[i]);
            assertGt(manager.getSchedule(id), block.timestamp);
            vm.prank(guardian);
            manager.cancel(admin, targets[i], calls[i]);
            assertEq(manager.getSchedule(id), 0);
        }
        skip(SETBACK + TARGET_DELAY);
        for (uint256 i = 0; i < calls.length; ++i) {
            _assertRefusedAtOnce(admin, targets[i], calls[i]);
        }
    }

    function test_GuardianCancelsManyCallsInOneTransaction() public {
        bytes[] memory cancels = new bytes[](20);
        bytes32[] memory ids = new bytes32[](20);
        for (uint160 i = 0; i < 20; ++i) {
            bytes memory call = _grantCall(ADMIN_ROLE, address(0x1000 + i));
            ids[i] = _schedule(address(manager), call);
            cancels[i] = abi.encodeCall(IAccessManager.cancel, (admin, address(manager), call));
        }
        vm.prank(guardian);
        manager.multicall(cancels);
        for (uint256 i = 0; i < 20; ++i) {
            assertEq(manager.getSchedule(ids[i]), 0);
        }
    }

    /// @dev Else the thief's first step would be to remove the guardian.
    function test_GuardianCancelsItsOwnRemoval() public {
        bytes memory call = abi.encodeCall(IAccessManager.revokeRole, (vault.GUARDIAN_ROLE(), guardian));
        bytes32 id = _schedule(address(manager), call);
        vm.prank(guardian);
        manager.cancel(admin, address(manager), call);
        skip(SETBACK + ADMIN_DELAY);
        vm.expectRevert(abi.encodeWithSelector(IAccessManager.AccessManagerNotScheduled.selector, id));
        _execute(address(manager), call);
    }

    /// @dev And with its key stolen it ends its own power to hold everything up.
    function test_GuardianRenouncesAtOnce() public {
        uint64 role = vault.GUARDIAN_ROLE();
        bytes memory call = _grantCall(role, fresh);
        _schedule(address(manager), call);
        vm.startPrank(guardian);
        manager.renounceRole(role, guardian);
        vm.expectPartialRevert(IAccessManager.AccessManagerUnauthorizedCancel.selector);
        manager.cancel(admin, address(manager), call);
        vm.stopPrank();
    }

    function test_NobodyElseCancels() public {
        bytes memory call = _grantCall(ADMIN_ROLE, fresh);
        _schedule(address(manager), call);
        address[5] memory others = [signer, sender, publisher, deployer, thief];
        for (uint256 i = 0; i < others.length; ++i) {
            vm.expectPartialRevert(IAccessManager.AccessManagerUnauthorizedCancel.selector);
            vm.prank(others[i]);
            manager.cancel(admin, address(manager), call);
        }
    }

    /// @dev The manager's own functions bear the settings role only so that they have a guardian.
    function test_HolderOfTheSettingsRoleAloneChangesNoRoles() public {
        skip(SETBACK);
        bytes memory grant = abi.encodeCall(IAccessManager.grantRole, (SETTINGS_ROLE, thief, 0));
        _schedule(address(manager), grant);
        skip(ADMIN_DELAY);
        _execute(address(manager), grant);
        skip(GRANT_DELAY);
        (bool isMember,) = manager.hasRole(SETTINGS_ROLE, thief);
        assertTrue(isMember);
        (bytes[] memory calls, address[] memory targets) = _rolesCalls();
        for (uint256 i = 0; i < calls.length; ++i) {
            _assertRefusedAtOnce(thief, targets[i], calls[i]);
            vm.expectPartialRevert(IAccessManager.AccessManagerUnauthorizedCall.selector);
            vm.prank(thief);
            manager.schedule(targets[i], calls[i], 0);
        }
    }

    // --------------------------------------- the admin's key stolen, nobody stops it

    function test_FromTheFirstBlockTheAdminChangesRolesOnlyWhenTheOtherDelaysCount() public {
        (bytes[] memory calls, address[] memory targets) = _rolesCalls();
        uint256 deployedAt = block.timestamp;
        for (uint256 i = 0; i < calls.length; ++i) {
            assertEq(manager.getSchedule(_schedule(targets[i], calls[i])), deployedAt + SETBACK + ADMIN_DELAY);
        }
        vm.warp(deployedAt + SETBACK - 1);
        (, uint32 delay) = manager.hasRole(ADMIN_ROLE, admin);
        assertEq(delay, SETBACK + ADMIN_DELAY);
        vm.warp(deployedAt + SETBACK);
        (, delay) = manager.hasRole(ADMIN_ROLE, admin);
        assertEq(delay, ADMIN_DELAY);
        for (uint64 role = ADMIN_ROLE; role <= SETTINGS_ROLE; ++role) {
            assertEq(manager.getRoleGrantDelay(role), GRANT_DELAY);
        }
        assertEq(manager.getTargetAdminDelay(address(manager)), TARGET_DELAY);
        assertEq(manager.getTargetAdminDelay(address(vault)), TARGET_DELAY);
        assertEq(manager.getTargetAdminDelay(address(addresses)), TARGET_DELAY);
        assertEq(manager.getTargetAdminDelay(address(roots)), TARGET_DELAY);
    }

    function test_AFreshAdminWithoutADelayIsNoneForADay() public {
        skip(SETBACK);
        _stealTheAdminRole();
        skip(GRANT_DELAY - 1);
        vm.expectRevert(
            abi.encodeWithSelector(IAccessManager.AccessManagerUnauthorizedAccount.selector, fresh, ADMIN_ROLE)
        );
        vm.prank(fresh);
        manager.grantRole(1, fresh, 0);
    }

    /// @dev More than two days in the open, and then no more than the limit: `fresh` cannot lift it the same way.
    function testFuzz_AFreshAdminPaysItselfOnlyAfterASecondDayAndUpToTheLimit(uint256 wait) public {
        vault.depositNative{value: 4_000 ether}(alice);
        skip(SETBACK);
        uint256 stolenAt = block.timestamp;
        _stealTheAdminRole();
        skip(GRANT_DELAY);
        vm.startPrank(fresh);
        manager.grantRole(1, vm.addr(FRESH_SIGNER_KEY), 0);
        manager.grantRole(2, fresh, 0);
        manager.grantRole(SETTINGS_ROLE, fresh, 0);
        vm.stopPrank();
        skip(bound(wait, 0, GRANT_DELAY - 1));
        vm.expectPartialRevert(IAccessManaged.AccessManagedUnauthorized.selector);
        this.payThief(fresh, 1);
        _assertRefusedAtOnce(fresh, address(vault), abi.encodeCall(IVault.setOutflowLimit, (NATIVE, 0, 0)));
        vm.warp(stolenAt + ADMIN_DELAY + 2 * GRANT_DELAY);
        for (uint256 i = 0; i < 20; ++i) {
            this.payThief(fresh, i);
        }
        assertEq(thief.balance, OUTFLOW_LIMIT);
    }

    function test_TheAdminRevokesAGrantBeforeItCounts() public {
        skip(SETBACK);
        _stealTheAdminRole();
        bytes memory call = abi.encodeCall(IAccessManager.revokeRole, (ADMIN_ROLE, fresh));
        _schedule(address(manager), call);
        skip(ADMIN_DELAY);
        _execute(address(manager), call);
        skip(GRANT_DELAY);
        (bool isMember,) = manager.hasRole(ADMIN_ROLE, fresh);
        assertFalse(isMember);
    }

    function test_AdminCannotRidItselfOfItsDelay() public {
        skip(SETBACK);
        address other = address(new AccessManager(thief));
        vm.startPrank(admin);
        vm.expectPartialRevert(IAccessManager.AccessManagerNotScheduled.selector);
        manager.grantRole(ADMIN_ROLE, admin, 0);
        vm.expectPartialRevert(IAccessManager.AccessManagerNotScheduled.selector);
        manager.grantRole(ADMIN_ROLE, thief, 0);
        vm.expectPartialRevert(IAccessManager.AccessManagerNotScheduled.selector);
        manager.updateAuthority(address(vault), other);
        vm.stopPrank();
        // and once granted after one delay, a shorter one counts only after the difference of the two
        bytes memory call = _grantCall(ADMIN_ROLE, admin);
        _schedule(address(manager), call);
        skip(ADMIN_DELAY);
        _execute(address(manager), call);
        (, uint32 delay) = manager.hasRole(ADMIN_ROLE, admin);
        assertEq(delay, ADMIN_DELAY);
        _assertRefusedAtOnce(admin, address(manager), _grantCall(1, thief));
    }

    /// @dev An admin without a delay of its own still meets the others: only what a day's notice was given of runs.
    function test_AnAdminThatLostItsDelayStillWaitsForTargetsAndGrants() public {
        skip(SETBACK);
        bytes memory call = _grantCall(ADMIN_ROLE, admin);
        _schedule(address(manager), call);
        skip(ADMIN_DELAY);
        _execute(address(manager), call);
        skip(ADMIN_DELAY);
        (, uint32 delay) = manager.hasRole(ADMIN_ROLE, admin);
        assertEq(delay, 0);
        vm.startPrank(admin);
        manager.grantRole(1, thief, 0);
        (bool isMember,) = manager.hasRole(1, thief);
        assertFalse(isMember);
        manager.setGrantDelay(2, 0);
        manager.setTargetAdminDelay(address(vault), 0);
        vm.stopPrank();
        assertEq(manager.getRoleGrantDelay(2), GRANT_DELAY);
        assertEq(manager.getTargetAdminDelay(address(vault)), TARGET_DELAY);
        (bytes[] memory calls,) = _rolesCalls();
        for (uint256 i = 2; i < 5; ++i) {
            // which functions are whose, whether the vault is open, and which manager it asks
            _assertRefusedAtOnce(admin, address(manager), calls[i]);
            assertEq(manager.getSchedule(_schedule(address(manager), calls[i])), block.timestamp + TARGET_DELAY);
            vm.prank(guardian);
            manager.cancel(admin, address(manager), calls[i]);
        }
    }

    /// @dev Nobody becomes signer or sender faster than people can see it coming.
    function test_AdminAppointsSignersAndSendersOnlyAfterItsDelayAndTheGrants() public {
        uint64[2] memory operating = [vault.SIGNER_ROLE(), vault.SENDER_ROLE()];
        skip(SETBACK);
        for (uint256 i = 0; i < operating.length; ++i) {
            bytes memory call = _grantCall(operating[i], thief);
            _assertRefusedAtOnce(admin, address(manager), call);
            bytes32 id = _schedule(address(manager), call);
            skip(ADMIN_DELAY - 1);
            vm.expectRevert(abi.encodeWithSelector(IAccessManager.AccessManagerNotReady.selector, id));
            _execute(address(manager), call);
            skip(1);
            _execute(address(manager), call);
            skip(GRANT_DELAY - 1);
            (bool isMember,) = manager.hasRole(operating[i], thief);
            assertFalse(isMember);
            skip(1);
            (isMember,) = manager.hasRole(operating[i], thief);
            assertTrue(isMember);
        }
    }

    // ----------------------------------------------------------------- private

    /// @dev The one call with which a stolen key could once throw off every delay.
    function _stealTheAdminRole() private {
        bytes memory call = _grantCall(ADMIN_ROLE, fresh);
        _schedule(address(manager), call);
        skip(ADMIN_DELAY);
        _execute(address(manager), call);
    }

    /// @dev External, so that its failure can be expected as one.
    function payThief(address by, uint256 id) external {
        IVault.Payment[] memory payments = _payments();
        payments[0].id = bytes32(id);
        bytes[] memory signatures = _signed(payments, FRESH_SIGNER_KEY);
        vm.prank(by);
        vault.withdraw(payments, signatures);
    }
}
