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

/// @dev A deployment with the same roles, guardians, delays and limits as the exchange's own (backend/exchange/chain).
abstract contract DeploymentFixture is Test {
    address internal constant NATIVE = address(0);
    uint64 internal constant ADMIN_ROLE = 0;
    uint64 internal constant SETTINGS_ROLE = 5;
    uint32 internal constant ADMIN_DELAY = 1 hours;
    uint32 internal constant GRANT_DELAY = 1 days;
    uint32 internal constant TARGET_DELAY = 1 days;
    uint32 internal constant SETBACK = 5 days;
    uint256 internal constant OUTFLOW_LIMIT = 1_000 ether;

    address internal deployer = makeAddr("deployer");
    address internal admin = makeAddr("admin");
    address internal guardian = makeAddr("guardian");
    address internal sender = makeAddr("sender");
    address internal publisher = makeAddr("publisher");
    address internal thief = makeAddr("thief");
    address internal alice = makeAddr("alice");
    address internal signer;
    uint256 internal signerKey;

    AccessManager internal manager;
    Vault internal vault;
    DepositAddresses internal addresses;
    BalanceRoots internal roots;

    function setUp() public virtual {
        vm.warp(1_800_000_000);
        (signer, signerKey) = makeAddrAndKey("signer");
        vm.startPrank(deployer);
        manager = new AccessManager(deployer);
        vault = new Vault(address(manager));
        addresses = new DepositAddresses(address(manager), vault);
        roots = new BalanceRoots(address(manager), 100_000);
        addresses.setMinimum(NATIVE, 0.01 ether);
        vault.setOutflowLimit(NATIVE, OUTFLOW_LIMIT, 1 days);
        _assignFunctions();
        _setDelays();
        _grantRoles();
        vm.stopPrank();
        vault.depositNative{value: 100 ether}(alice);
    }

    function _assignFunctions() private {
        _assign(address(vault), IVault.withdraw.selector, vault.SENDER_ROLE());
        _assign(address(vault), IVault.pause.selector, vault.GUARDIAN_ROLE());
        _assign(address(vault), IVault.unpause.selector, vault.GUARDIAN_ROLE());
        _assign(address(roots), BalanceRoots.publish.selector, roots.PUBLISHER_ROLE());
        _assign(address(vault), IVault.setOutflowLimit.selector, SETTINGS_ROLE);
        _assign(address(vault), IVault.proposeSettlementModule.selector, SETTINGS_ROLE);
        _assign(address(vault), IVault.activateSettlementModule.selector, SETTINGS_ROLE);
        _assign(address(addresses), IDepositAddresses.setMinimum.selector, SETTINGS_ROLE);
        (bytes[] memory calls,) = _rolesCalls();
        for (uint256 i = 0; i < calls.length; ++i) {
            _assign(address(manager), bytes4(calls[i]), SETTINGS_ROLE);
        }
        manager.setRoleGuardian(SETTINGS_ROLE, vault.GUARDIAN_ROLE());
    }

    function _setDelays() private {
        for (uint64 role = ADMIN_ROLE; role <= SETTINGS_ROLE; ++role) {
            manager.setGrantDelay(role, GRANT_DELAY);
        }
        manager.setTargetAdminDelay(address(manager), TARGET_DELAY);
        manager.setTargetAdminDelay(address(vault), TARGET_DELAY);
        manager.setTargetAdminDelay(address(addresses), TARGET_DELAY);
        manager.setTargetAdminDelay(address(roots), TARGET_DELAY);
    }

    function _grantRoles() private {
        manager.grantRole(vault.SIGNER_ROLE(), signer, 0);
        manager.grantRole(vault.SENDER_ROLE(), sender, 0);
        manager.grantRole(vault.GUARDIAN_ROLE(), guardian, 0);
        manager.grantRole(roots.PUBLISHER_ROLE(), publisher, 0);
        manager.grantRole(SETTINGS_ROLE, admin, ADMIN_DELAY);
        manager.grantRole(ADMIN_ROLE, admin, SETBACK + ADMIN_DELAY);
        manager.grantRole(ADMIN_ROLE, admin, ADMIN_DELAY);
        manager.renounceRole(ADMIN_ROLE, deployer);
    }

    function _assign(address target, bytes4 selector, uint64 role) private {
        bytes4[] memory selectors = new bytes4[](1);
        selectors[0] = selector;
        manager.setTargetFunctionRole(target, selectors, role);
    }

    // ------------------------------------------------------------ for the tests

    /// @dev What the admin schedules through the manager.
    function _schedule(address target, bytes memory call) internal returns (bytes32 id) {
        vm.prank(admin);
        (id,) = manager.schedule(target, call, 0);
    }

    function _execute(address target, bytes memory call) internal {
        vm.prank(admin);
        manager.execute(target, call);
    }

    function _grantCall(uint64 role, address holder) internal pure returns (bytes memory) {
        return abi.encodeCall(IAccessManager.grantRole, (role, holder, 0));
    }

    function _payments() internal view returns (IVault.Payment[] memory payments) {
        payments = new IVault.Payment[](1);
        payments[0] = IVault.Payment("id", alice, NATIVE, 100 ether, thief, block.timestamp + 1 hours, "");
    }

    function _signed(IVault.Payment[] memory payments, uint256 key) internal view returns (bytes[] memory signatures) {
        signatures = new bytes[](payments.length);
        for (uint256 i = 0; i < payments.length; ++i) {
            (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, vault.paymentDigest(payments[i]));
            signatures[i] = abi.encodePacked(r, s, v);
        }
    }

    /// @dev Whatever only the admin may do at our contracts.
    function _settingsCalls() internal view returns (bytes[] memory calls, address[] memory targets) {
        calls = new bytes[](4);
        targets = new address[](4);
        calls[0] = abi.encodeCall(IVault.setOutflowLimit, (NATIVE, 1, 1));
        calls[1] = abi.encodeCall(IVault.proposeSettlementModule, (address(manager)));
        calls[2] = abi.encodeCall(IVault.activateSettlementModule, ());
        for (uint256 i = 0; i < 3; ++i) {
            targets[i] = address(vault);
        }
        calls[3] = abi.encodeCall(IDepositAddresses.setMinimum, (NATIVE, 0));
        targets[3] = address(addresses);
    }

    /// @dev Whatever only the admin may do at the manager itself: all that it has.
    function _rolesCalls() internal view returns (bytes[] memory calls, address[] memory targets) {
        bytes4[] memory selectors = new bytes4[](1);
        selectors[0] = IVault.withdraw.selector;
        calls = new bytes[](10);
        calls[0] = _grantCall(1, thief);
        calls[1] = abi.encodeCall(IAccessManager.revokeRole, (1, signer));
        calls[2] = abi.encodeCall(IAccessManager.setTargetFunctionRole, (address(vault), selectors, ADMIN_ROLE));
        calls[3] = abi.encodeCall(IAccessManager.setTargetClosed, (address(vault), true));
        calls[4] = abi.encodeCall(IAccessManager.updateAuthority, (address(vault), address(manager)));
        calls[5] = abi.encodeCall(IAccessManager.setGrantDelay, (1, 0));
        calls[6] = abi.encodeCall(IAccessManager.setTargetAdminDelay, (address(vault), 0));
        calls[7] = abi.encodeCall(IAccessManager.setRoleAdmin, (1, 2));
        calls[8] = abi.encodeCall(IAccessManager.setRoleGuardian, (SETTINGS_ROLE, 2));
        calls[9] = abi.encodeCall(IAccessManager.labelRole, (1, "label"));
        targets = new address[](10);
        for (uint256 i = 0; i < 10; ++i) {
            targets[i] = address(manager);
        }
    }

    function _adminCalls() internal view returns (bytes[] memory calls, address[] memory targets) {
        (bytes[] memory first, address[] memory firstTargets) = _settingsCalls();
        (bytes[] memory second, address[] memory secondTargets) = _rolesCalls();
        calls = new bytes[](first.length + second.length);
        targets = new address[](calls.length);
        for (uint256 i = 0; i < calls.length; ++i) {
            bool isFirst = i < first.length;
            calls[i] = isFirst ? first[i] : second[i - first.length];
            targets[i] = isFirst ? firstTargets[i] : secondTargets[i - first.length];
        }
    }

    function _assertRefusedAtOnce(address caller, address target, bytes memory call) internal {
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
