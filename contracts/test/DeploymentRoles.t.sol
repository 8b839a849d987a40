// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";
import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import {IAccessManager} from "@openzeppelin/contracts/access/manager/IAccessManager.sol";
import {BalanceRoots} from "contracts/src/BalanceRoots.sol";
import {DepositAddresses} from "contracts/src/DepositAddresses.sol";
import {Vault} from "contracts/src/Vault.sol";
import {IDepositAddresses} from "contracts/src/interfaces/IDepositAddresses.sol";
import {IVault} from "contracts/src/interfaces/IVault.sol";
import {Test} from "forge-std/Test.sol";

/// @dev Who can do what after a deployment with the same grants as the exchange's own (backend/exchange/chain).
contract DeploymentRolesTest is Test {
    address private constant NATIVE = address(0);
    uint64 private constant ADMIN_ROLE = 0;
    uint32 private constant ADMIN_DELAY = 1 hours;

    address private deployer = makeAddr("deployer");
    address private admin = makeAddr("admin"); // also the guardian
    address private sender = makeAddr("sender");
    address private publisher = makeAddr("publisher");
    address private thief = makeAddr("thief");
    address private alice = makeAddr("alice");
    address private signer;
    uint256 private signerKey;

    AccessManager private manager;
    Vault private vault;
    DepositAddresses private addresses;
    BalanceRoots private roots;

    function setUp() public {
        vm.warp(1_800_000_000);
        (signer, signerKey) = makeAddrAndKey("signer");
        vm.startPrank(deployer);
        manager = new AccessManager(deployer);
        vault = new Vault(address(manager));
        addresses = new DepositAddresses(address(manager), vault);
        roots = new BalanceRoots(address(manager));
        addresses.setMinimum(NATIVE, 0.01 ether);
        _assign(address(vault), IVault.withdraw.selector, vault.SENDER_ROLE());
        _assign(address(vault), IVault.pause.selector, vault.GUARDIAN_ROLE());
        _assign(address(vault), IVault.unpause.selector, vault.GUARDIAN_ROLE());
        _assign(address(vault), IVault.setOutflowLimit.selector, ADMIN_ROLE);
        _assign(address(vault), IVault.proposeSettlementModule.selector, ADMIN_ROLE);
        _assign(address(vault), IVault.activateSettlementModule.selector, ADMIN_ROLE);
        _assign(address(addresses), IDepositAddresses.setMinimum.selector, ADMIN_ROLE);
        _assign(address(roots), BalanceRoots.publish.selector, roots.PUBLISHER_ROLE());
        manager.grantRole(vault.SIGNER_ROLE(), signer, 0);
        manager.grantRole(vault.SENDER_ROLE(), sender, 0);
        manager.grantRole(vault.GUARDIAN_ROLE(), admin, 0);
        manager.grantRole(roots.PUBLISHER_ROLE(), publisher, 0);
        manager.grantRole(ADMIN_ROLE, admin, ADMIN_DELAY);
        manager.renounceRole(ADMIN_ROLE, deployer);
        vm.stopPrank();
        vault.depositNative{value: 100 ether}(alice);
    }

    // ---------------------------------------------------------------- deployer

    function test_DeployerKeepsNoPowerAtAll() public {
        (bytes[] memory calls, address[] memory targets) = _restrictedCalls();
        for (uint256 i = 0; i < calls.length; ++i) {
            _assertRefusedAtOnce(deployer, targets[i], calls[i]);
            vm.expectRevert();
            vm.prank(deployer);
            manager.schedule(targets[i], calls[i], 0);
        }
        for (uint64 role = 0; role <= 4; ++role) {
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

    function test_AdminCannotRidItselfOfItsDelay() public {
        address other = address(new AccessManager(thief));
        vm.startPrank(admin);
        vm.expectPartialRevert(IAccessManager.AccessManagerNotScheduled.selector);
        manager.grantRole(ADMIN_ROLE, admin, 0);
        vm.expectPartialRevert(IAccessManager.AccessManagerNotScheduled.selector);
        manager.grantRole(ADMIN_ROLE, thief, 0);
        vm.expectPartialRevert(IAccessManager.AccessManagerNotScheduled.selector);
        manager.updateAuthority(address(vault), other);
        // and once granted after one delay, a shorter one counts only after the difference of the two
        bytes memory call = abi.encodeCall(IAccessManager.grantRole, (ADMIN_ROLE, admin, 0));
        manager.schedule(address(manager), call, 0);
        skip(ADMIN_DELAY);
        manager.grantRole(ADMIN_ROLE, admin, 0);
        (, uint32 delay) = manager.hasRole(ADMIN_ROLE, admin);
        assertEq(delay, ADMIN_DELAY);
        vm.stopPrank();
        _assertRefusedAtOnce(
            admin, address(vault), abi.encodeCall(IVault.setOutflowLimit, (NATIVE, 1_000 ether, 1 days))
        );
    }

    /// @dev Nobody becomes signer or sender faster than people can see it coming.
    function test_AdminAppointsSignersAndSendersOnlyAfterItsDelay() public {
        uint64[2] memory operating = [vault.SIGNER_ROLE(), vault.SENDER_ROLE()];
        for (uint256 i = 0; i < operating.length; ++i) {
            vm.startPrank(admin);
            vm.expectPartialRevert(IAccessManager.AccessManagerNotScheduled.selector);
            manager.grantRole(operating[i], thief, 0);
            manager.schedule(address(manager), abi.encodeCall(IAccessManager.grantRole, (operating[i], thief, 0)), 0);
            skip(ADMIN_DELAY - 1);
            vm.expectPartialRevert(IAccessManager.AccessManagerNotReady.selector);
            manager.grantRole(operating[i], thief, 0);
            vm.stopPrank();
            (bool isMember,) = manager.hasRole(operating[i], thief);
            assertFalse(isMember);
        }
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
        bytes[] memory signatures = _signedBySigner(payments);
        address[5] memory others = [signer, admin, publisher, deployer, thief];
        for (uint256 i = 0; i < others.length; ++i) {
            _assertRefusedAtOnce(others[i], address(vault), abi.encodeCall(IVault.withdraw, (payments, signatures)));
        }
        assertEq(thief.balance, 0);
    }

    function test_SignerAndSenderAreDifferentKeysAndNeitherHoldsAnyOtherRole() public view {
        address[4] memory holders = [signer, sender, publisher, admin];
        for (uint64 role = 1; role <= 4; ++role) {
            uint256 members = 0;
            for (uint256 i = 0; i < holders.length; ++i) {
                (bool isMember,) = manager.hasRole(role, holders[i]);
                if (isMember) ++members;
            }
            assertEq(members, 1);
        }
        assertTrue(signer != sender && sender != publisher && signer != publisher && admin != signer);
    }

    function test_GuardianStopsAtOnceButMovesNothing() public {
        IVault.Payment[] memory payments = _payments();
        _assertRefusedAtOnce(
            admin, address(vault), abi.encodeCall(IVault.withdraw, (payments, _signedBySigner(payments)))
        );
        vm.prank(admin);
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
        bytes memory call = abi.encodeCall(IVault.setOutflowLimit, (NATIVE, 10 ether, 1 days));
        vm.startPrank(admin);
        manager.schedule(address(vault), call, 0);
        skip(ADMIN_DELAY);
        vault.setOutflowLimit(NATIVE, 10 ether, 1 days);
        vm.stopPrank();
        for (uint256 i = 0; i < 50; ++i) {
            IVault.Payment[] memory payments = _payments();
            payments[0].id = bytes32(i);
            payments[0].amount = 3 ether;
            bytes[] memory signatures = _signedBySigner(payments);
            vm.prank(sender);
            vault.withdraw(payments, signatures);
        }
        assertEq(thief.balance, 9 ether);
        vm.prank(admin);
        vault.pause();
        assertEq(address(vault).balance, 91 ether);
    }

    // ----------------------------------------------------------------- private

    function _assign(address target, bytes4 selector, uint64 role) private {
        bytes4[] memory selectors = new bytes4[](1);
        selectors[0] = selector;
        manager.setTargetFunctionRole(target, selectors, role);
    }

    function _payments() private view returns (IVault.Payment[] memory payments) {
        payments = new IVault.Payment[](1);
        payments[0] = IVault.Payment("id", alice, NATIVE, 100 ether, thief, block.timestamp + 1 hours, "");
    }

    function _signedBySigner(IVault.Payment[] memory payments) private view returns (bytes[] memory signatures) {
        signatures = new bytes[](payments.length);
        for (uint256 i = 0; i < payments.length; ++i) {
            (uint8 v, bytes32 r, bytes32 s) = vm.sign(signerKey, vault.paymentDigest(payments[i]));
            signatures[i] = abi.encodePacked(r, s, v);
        }
    }

    /// @dev Whatever only the admin may do: at our contracts, and at the manager itself.
    function _adminCalls() private view returns (bytes[] memory calls, address[] memory targets) {
        calls = new bytes[](12);
        targets = new address[](12);
        calls[0] = abi.encodeCall(IVault.setOutflowLimit, (NATIVE, 1, 1));
        calls[1] = abi.encodeCall(IVault.proposeSettlementModule, (address(manager)));
        calls[2] = abi.encodeCall(IVault.activateSettlementModule, ());
        for (uint256 i = 0; i < 3; ++i) {
            targets[i] = address(vault);
        }
        calls[3] = abi.encodeCall(IDepositAddresses.setMinimum, (NATIVE, 0));
        targets[3] = address(addresses);
        bytes4[] memory selectors = new bytes4[](1);
        selectors[0] = IVault.withdraw.selector;
        calls[4] = abi.encodeCall(IAccessManager.grantRole, (1, thief, 0));
        calls[5] = abi.encodeCall(IAccessManager.revokeRole, (1, signer));
        calls[6] = abi.encodeCall(IAccessManager.setTargetFunctionRole, (address(vault), selectors, ADMIN_ROLE));
        calls[7] = abi.encodeCall(IAccessManager.setTargetClosed, (address(vault), true));
        calls[8] = abi.encodeCall(IAccessManager.updateAuthority, (address(vault), address(manager)));
        calls[9] = abi.encodeCall(IAccessManager.setGrantDelay, (1, 0));
        calls[10] = abi.encodeCall(IAccessManager.setRoleAdmin, (1, 2));
        calls[11] = abi.encodeCall(IAccessManager.setRoleGuardian, (0, 2));
        for (uint256 i = 4; i < 12; ++i) {
            targets[i] = address(manager);
        }
    }

    /// @dev Everything of our contracts that any role may do.
    function _restrictedCalls() private view returns (bytes[] memory calls, address[] memory targets) {
        (bytes[] memory adminCalls, address[] memory adminTargets) = _adminCalls();
        calls = new bytes[](8);
        targets = new address[](8);
        for (uint256 i = 0; i < 4; ++i) {
            (calls[i], targets[i]) = (adminCalls[i], adminTargets[i]);
        }
        calls[4] = abi.encodeCall(IVault.withdraw, (_payments(), new bytes[](1)));
        calls[5] = abi.encodeCall(IVault.pause, ());
        calls[6] = abi.encodeCall(IVault.unpause, ());
        for (uint256 i = 4; i < 7; ++i) {
            targets[i] = address(vault);
        }
        (calls[7], targets[7]) = (abi.encodeCall(BalanceRoots.publish, ("root", 1, 1)), address(roots));
    }

    function _assertRefusedAtOnce(address caller, address target, bytes memory call) private {
        vm.prank(caller);
        (bool ok, bytes memory answer) = target.call(call);
        assertFalse(ok);
        bytes4 reason = bytes4(answer);
        assertTrue(
            reason == IAccessManaged.AccessManagedUnauthorized.selector
                || reason == IAccessManager.AccessManagerUnauthorizedAccount.selector
                || reason == IAccessManager.AccessManagerNotScheduled.selector
        );
    }
}
