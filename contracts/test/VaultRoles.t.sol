// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {VaultFixture} from "./VaultFixture.sol";
import {MoodyReceiver} from "./mocks/Receivers.sol";
import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import {Vault} from "contracts/src/Vault.sol";
import {IVault} from "contracts/src/interfaces/IVault.sol";

contract VaultRolesTest is VaultFixture {
    function test_RolesHaveTheirPublishedNumbers() public view {
        assertEq(vault.SIGNER_ROLE(), 1);
        assertEq(vault.SENDER_ROLE(), 2);
        assertEq(vault.GUARDIAN_ROLE(), 3);
        assertEq(vault.authority(), address(manager));
    }

    function test_RejectsAuthorityWithoutCode() public {
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedInvalidAuthority.selector, stranger));
        new Vault(stranger);
    }

    function testFuzz_RejectsStrangersInEveryRestrictedFunction(address caller) public {
        vm.assume(caller != admin && caller != sender && caller != guardian && caller != address(manager));
        bytes[] memory calls = new bytes[](6);
        calls[0] = abi.encodeCall(IVault.withdraw, (new IVault.Payment[](0), new bytes[](0)));
        calls[1] = abi.encodeCall(IVault.pause, ());
        calls[2] = abi.encodeCall(IVault.unpause, ());
        calls[3] = abi.encodeCall(IVault.setOutflowLimit, (NATIVE, 1, 1));
        calls[4] = abi.encodeCall(IVault.proposeSettlementModule, (address(this)));
        calls[5] = abi.encodeCall(IVault.activateSettlementModule, ());
        for (uint256 i = 0; i < calls.length; ++i) {
            vm.prank(caller);
            (bool ok, bytes memory answer) = address(vault).call(calls[i]);
            assertFalse(ok);
            assertEq(answer, abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, caller));
        }
    }

    function test_RejectsModuleFunctionsFromEveryoneElse() public {
        address[4] memory callers = [admin, sender, guardian, stranger];
        for (uint256 i = 0; i < callers.length; ++i) {
            bytes memory reason = abi.encodeWithSelector(IVault.OnlySettlementModule.selector, callers[i]);
            vm.startPrank(callers[i]);
            vm.expectRevert(reason);
            vault.freeze();
            vm.expectRevert(reason);
            vault.exit(alice, NATIVE, 1);
            vm.stopPrank();
        }
    }

    function test_SignerAloneCannotPay() public {
        _depositNative(alice, 1 ether);
        IVault.Payment memory payment = _payment(1, NATIVE, 1 ether);
        bytes[] memory signatures = _single(_sign(payment, signerKey));
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, signer));
        vm.prank(signer);
        vault.withdraw(_single(payment), signatures);
    }

    function test_AdminActsOnlyAfterItsExecutionDelay() public {
        vm.prank(admin);
        manager.grantRole(ADMIN_ROLE, admin, 2 days);
        bytes memory call = abi.encodeCall(IVault.setOutflowLimit, (NATIVE, 5 ether, 1 days));
        vm.startPrank(admin);
        vm.expectRevert();
        vault.setOutflowLimit(NATIVE, 5 ether, 1 days);
        manager.schedule(address(vault), call, 0);
        vm.expectRevert();
        vault.setOutflowLimit(NATIVE, 5 ether, 1 days);
        skip(2 days);
        vault.setOutflowLimit(NATIVE, 5 ether, 1 days);
        (uint256 limit,,) = vault.outflow(NATIVE);
        assertEq(limit, 5 ether);
    }

    function test_ClosingTheVaultAtTheAuthorityStopsPaymentsButNotClaims() public {
        _depositNative(alice, 10 ether);
        _withdraw(_payment(1, NATIVE, 1 ether, address(new MoodyReceiver())));
        vm.prank(admin);
        manager.setTargetClosed(address(vault), true);
        IVault.Payment[] memory payments = _single(_payment(2, NATIVE, 1 ether));
        bytes[] memory signatures = _signAll(payments);
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, sender));
        vm.prank(sender);
        vault.withdraw(payments, signatures);
        vm.prank(alice);
        assertEq(vault.claim(NATIVE, alice), 1 ether);
    }
}
