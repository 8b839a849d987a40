// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";
import {Vault} from "contracts/src/Vault.sol";
import {IVault} from "contracts/src/interfaces/IVault.sol";
import {TestUSDC} from "contracts/src/tokens/TestUSDC.sol";
import {TestWBTC} from "contracts/src/tokens/TestWBTC.sol";
import {Test} from "forge-std/Test.sol";

/// @dev A vault with its roles set up as a deployer would, funded people, and short ways to deposit and pay.
abstract contract VaultFixture is Test {
    address internal constant NATIVE = address(0);
    uint64 internal constant ADMIN_ROLE = 0;

    AccessManager internal manager;
    Vault internal vault;
    TestUSDC internal usdc;
    TestWBTC internal wbtc;

    address internal admin = makeAddr("admin");
    address internal sender = makeAddr("sender");
    address internal guardian = makeAddr("guardian");
    address internal stranger = makeAddr("stranger");
    address internal destination = makeAddr("destination");
    address internal signer;
    uint256 internal signerKey;
    address internal alice;
    uint256 internal aliceKey;
    address internal bob;
    uint256 internal bobKey;

    function setUp() public virtual {
        vm.warp(1_800_000_000);
        (signer, signerKey) = makeAddrAndKey("signer");
        (alice, aliceKey) = makeAddrAndKey("alice");
        (bob, bobKey) = makeAddrAndKey("bob");
        manager = new AccessManager(admin);
        vault = new Vault(address(manager));
        usdc = new TestUSDC();
        wbtc = new TestWBTC();
        _setUpRoles(vault);
        vm.deal(alice, 1_000_000 ether);
        vm.deal(bob, 1_000_000 ether);
        usdc.mint(alice, 1e30);
        usdc.mint(bob, 1e30);
        vm.prank(alice);
        usdc.approve(address(vault), type(uint256).max);
        vm.prank(bob);
        usdc.approve(address(vault), type(uint256).max);
    }

    function _setUpRoles(Vault target) internal {
        bytes4[] memory sending = new bytes4[](1);
        sending[0] = IVault.withdraw.selector;
        bytes4[] memory guarding = new bytes4[](2);
        guarding[0] = IVault.pause.selector;
        guarding[1] = IVault.unpause.selector;
        vm.startPrank(admin);
        manager.grantRole(target.SIGNER_ROLE(), signer, 0);
        manager.grantRole(target.SENDER_ROLE(), sender, 0);
        manager.grantRole(target.GUARDIAN_ROLE(), guardian, 0);
        manager.setTargetFunctionRole(address(target), sending, target.SENDER_ROLE());
        manager.setTargetFunctionRole(address(target), guarding, target.GUARDIAN_ROLE());
        vm.stopPrank();
    }

    function _depositNative(address account, uint256 amount) internal returns (uint256) {
        vm.prank(account);
        return vault.depositNative{value: amount}(account);
    }

    function _depositUsdc(address account, uint256 amount) internal returns (uint256) {
        vm.prank(account);
        return vault.deposit(account, address(usdc), amount);
    }

    /// @dev A payment to alice's account, due within the hour.
    function _payment(uint256 id, address token, uint256 amount) internal view returns (IVault.Payment memory) {
        return _payment(id, token, amount, destination);
    }

    function _payment(uint256 id, address token, uint256 amount, address to)
        internal
        view
        returns (IVault.Payment memory)
    {
        return IVault.Payment({
            id: bytes32(id),
            account: alice,
            token: token,
            amount: amount,
            destination: to,
            deadline: block.timestamp + 1 hours,
            proof: ""
        });
    }

    function _sign(IVault.Payment memory payment, uint256 key) internal view returns (bytes memory) {
        return _sign(vault.paymentDigest(payment), key);
    }

    function _sign(bytes32 digest, uint256 key) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    function _single(IVault.Payment memory payment) internal pure returns (IVault.Payment[] memory payments) {
        payments = new IVault.Payment[](1);
        payments[0] = payment;
    }

    function _single(bytes memory signature) internal pure returns (bytes[] memory signatures) {
        signatures = new bytes[](1);
        signatures[0] = signature;
    }

    function _signAll(IVault.Payment[] memory payments) internal view returns (bytes[] memory signatures) {
        signatures = new bytes[](payments.length);
        for (uint256 i = 0; i < payments.length; ++i) {
            signatures[i] = _sign(payments[i], signerKey);
        }
    }

    function _withdraw(IVault.Payment memory payment) internal {
        _withdraw(payment, _sign(payment, signerKey));
    }

    function _withdraw(IVault.Payment memory payment, bytes memory signature) internal {
        vm.prank(sender);
        vault.withdraw(_single(payment), _single(signature));
    }

    function _withdraw(IVault.Payment[] memory payments) internal {
        bytes[] memory signatures = _signAll(payments);
        vm.prank(sender);
        vault.withdraw(payments, signatures);
    }

    function _expectPaid(IVault.Payment memory payment) internal {
        vm.expectEmit(address(vault));
        emit IVault.Paid(payment.id, payment.account, payment.token, payment.amount, payment.destination);
    }

    function _expectClaimable(IVault.Payment memory payment) internal {
        vm.expectEmit(address(vault));
        emit IVault.PaymentClaimable(payment.id, payment.account, payment.token, payment.amount, payment.destination);
    }

    function _expectSkipped(IVault.Payment memory payment, IVault.SkipReason reason) internal {
        vm.expectEmit(address(vault));
        emit IVault.PaymentSkipped(payment.id, reason);
    }

    /// @dev Sends one payment that must be left out, and checks that nothing at all changed.
    function _assertSkips(IVault.Payment memory payment, bytes memory signature, IVault.SkipReason reason) internal {
        uint256 accountedBefore = vault.accounted(payment.token);
        bool usedBefore = vault.used(payment.id);
        uint256 claimableBefore = vault.claimableTotal(payment.token);
        uint256 paidBefore = vault.flows(payment.account, payment.token).paid;
        _expectSkipped(payment, reason);
        _withdraw(payment, signature);
        assertEq(vault.used(payment.id), usedBefore, "id");
        assertEq(vault.accounted(payment.token), accountedBefore, "accounted");
        assertEq(vault.flows(payment.account, payment.token).paid, paidBefore, "paid");
        assertEq(vault.claimableTotal(payment.token), claimableBefore, "claimable");
    }

    function _assertSkips(IVault.Payment memory payment, IVault.SkipReason reason) internal {
        _assertSkips(payment, _sign(payment, signerKey), reason);
    }
}
