// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {VaultFixture} from "./VaultFixture.sol";
import {FeeToken, HostileToken, NoReturnToken, PickyToken, PlainToken} from "./mocks/OddTokens.sol";
import {MoodyReceiver} from "./mocks/Receivers.sol";
import {IVault} from "contracts/src/interfaces/IVault.sol";

contract VaultWithdrawalsTest is VaultFixture {
    function setUp() public override {
        super.setUp();
        _depositNative(alice, 100 ether);
        _depositUsdc(alice, 1_000e6);
    }

    // ------------------------------------------------------------------ paying

    function test_PaysNative() public {
        IVault.Payment memory payment = _payment(1, NATIVE, 3 ether);
        _expectPaid(payment);
        _withdraw(payment);
        assertEq(destination.balance, 3 ether);
        assertEq(vault.accounted(NATIVE), 97 ether);
        assertEq(vault.flows(alice, NATIVE).paid, 3 ether);
        assertTrue(vault.used(payment.id));
    }

    function test_PaysToken() public {
        IVault.Payment memory payment = _payment(1, address(usdc), 30e6);
        _expectPaid(payment);
        _withdraw(payment);
        assertEq(usdc.balanceOf(destination), 30e6);
        assertEq(vault.accounted(address(usdc)), 970e6);
        assertEq(vault.flows(alice, address(usdc)).paid, 30e6);
    }

    function test_PaysMoreThanTheAccountDepositedSinceTradesMoveFunds() public {
        IVault.Payment memory payment = _payment(1, address(usdc), 1_000e6);
        payment.account = bob;
        _expectPaid(payment);
        _withdraw(payment);
        assertEq(vault.flows(bob, address(usdc)).paid, 1_000e6);
        assertEq(vault.accounted(address(usdc)), 0);
    }

    function test_PaysAtTheDeadlineItself() public {
        IVault.Payment memory payment = _payment(1, NATIVE, 1);
        vm.warp(payment.deadline);
        _expectPaid(payment);
        _withdraw(payment);
    }

    function testFuzz_PaysOnceForEver(uint256 id, uint96 amount, uint32 later) public {
        amount = uint96(bound(amount, 1, 40 ether));
        IVault.Payment memory payment = _payment(id, NATIVE, amount);
        payment.deadline = type(uint256).max;
        bytes memory signature = _sign(payment, signerKey);
        _withdraw(payment, signature);
        skip(later);
        _assertSkips(payment, signature, IVault.SkipReason.AlreadyUsed);
        payment.amount += 1;
        _assertSkips(payment, IVault.SkipReason.AlreadyUsed);
        assertEq(destination.balance, amount);
    }

    function test_PaysOnceWhenTheBatchRepeatsAnItem() public {
        IVault.Payment[] memory payments = new IVault.Payment[](2);
        payments[0] = _payment(1, NATIVE, 1 ether);
        payments[1] = payments[0];
        _expectPaid(payments[0]);
        _expectSkipped(payments[1], IVault.SkipReason.AlreadyUsed);
        _withdraw(payments);
        assertEq(destination.balance, 1 ether);
    }

    function test_SkipsBadItemsAndPaysTheRest() public {
        IVault.Payment[] memory payments = new IVault.Payment[](6);
        payments[0] = _payment(1, NATIVE, 1 ether);
        payments[1] = _payment(2, NATIVE, 1 ether);
        payments[1].deadline = block.timestamp - 1;
        payments[2] = _payment(3, NATIVE, 1_000 ether);
        payments[3] = _payment(4, address(usdc), 5e6);
        payments[4] = _payment(5, NATIVE, 1 ether, address(new MoodyReceiver()));
        payments[5] = _payment(6, NATIVE, 2 ether);
        _expectPaid(payments[0]);
        _expectSkipped(payments[1], IVault.SkipReason.Expired);
        _expectSkipped(payments[2], IVault.SkipReason.InsufficientBalance);
        _expectPaid(payments[3]);
        _expectClaimable(payments[4]);
        _expectPaid(payments[5]);
        _withdraw(payments);
        assertEq(destination.balance, 3 ether);
        assertFalse(vault.used(payments[1].id));
        assertFalse(vault.used(payments[2].id));
        assertTrue(vault.used(payments[4].id));
    }

    function test_RunsASkippedPaymentLaterWhenItsReasonIsGone() public {
        IVault.Payment memory payment = _payment(1, NATIVE, 150 ether);
        _assertSkips(payment, IVault.SkipReason.InsufficientBalance);
        _depositNative(bob, 50 ether);
        _expectPaid(payment);
        _withdraw(payment);
    }

    function test_RejectsBatchWithoutOneSignaturePerPayment() public {
        vm.expectRevert(abi.encodeWithSelector(IVault.LengthMismatch.selector, 1, 0));
        vm.prank(sender);
        vault.withdraw(_single(_payment(1, NATIVE, 1)), new bytes[](0));
    }

    // ---------------------------------------------------------------- skipping

    function testFuzz_SkipsExpiredPayment(uint32 late) public {
        IVault.Payment memory payment = _payment(1, NATIVE, 1 ether);
        vm.warp(payment.deadline + bound(late, 1, type(uint32).max));
        _assertSkips(payment, IVault.SkipReason.Expired);
    }

    function test_SkipsZeroAmount() public {
        _assertSkips(_payment(1, NATIVE, 0), IVault.SkipReason.ZeroAmount);
    }

    function test_SkipsAccountZero() public {
        IVault.Payment memory payment = _payment(1, NATIVE, 1);
        payment.account = address(0);
        _assertSkips(payment, IVault.SkipReason.InvalidAccount);
    }

    function test_SkipsDestinationsThatLoseFunds() public {
        _assertSkips(_payment(1, NATIVE, 1, address(0)), IVault.SkipReason.InvalidDestination);
        _assertSkips(_payment(2, address(usdc), 1, address(vault)), IVault.SkipReason.InvalidDestination);
    }

    function testFuzz_SkipsAmountOver128Bits(uint256 amount) public {
        amount = bound(amount, uint256(type(uint128).max) + 1, type(uint256).max);
        _assertSkips(_payment(1, NATIVE, amount), IVault.SkipReason.AmountTooLarge);
    }

    function test_SkipsWhenLifetimePaymentsWouldExceed128Bits() public {
        PlainToken token = new PlainToken();
        token.mint(bob, uint256(type(uint128).max) + 10);
        vm.startPrank(bob);
        token.approve(address(vault), type(uint256).max);
        vault.deposit(bob, address(token), type(uint128).max);
        vault.deposit(alice, address(token), 10);
        vm.stopPrank();
        _withdraw(_payment(1, address(token), type(uint128).max));
        _assertSkips(_payment(2, address(token), 1), IVault.SkipReason.AmountTooLarge);
    }

    function testFuzz_SkipsMoreThanAccountedWhateverTheVaultHolds(uint96 excess) public {
        excess = uint96(bound(excess, 1, type(uint96).max));
        vm.deal(address(vault), type(uint128).max);
        _assertSkips(_payment(1, NATIVE, 100 ether + uint256(excess)), IVault.SkipReason.InsufficientBalance);
    }

    function test_SkipsTokenNobodyDeposited() public {
        _assertSkips(_payment(1, address(wbtc), 1), IVault.SkipReason.InsufficientBalance);
    }

    // -------------------------------------------------------------- signatures

    function test_DigestFollowsThePublishedTypes() public view {
        IVault.Payment memory payment = _payment(1, address(usdc), 5);
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Exchange Vault"),
                keccak256("1"),
                block.chainid,
                address(vault)
            )
        );
        bytes32 structHash = keccak256(
            abi.encode(
                keccak256(
                    "Payment(bytes32 id,address account,address token,uint256 amount,address destination,uint256 deadline)"
                ),
                payment.id,
                payment.account,
                payment.token,
                payment.amount,
                payment.destination,
                payment.deadline
            )
        );
        assertEq(vault.paymentDigest(payment), keccak256(abi.encodePacked("\x19\x01", domain, structHash)));
    }

    function testFuzz_SkipsSignatureOfAnyoneElse(uint256 key) public {
        key = boundPrivateKey(key);
        vm.assume(key != signerKey);
        IVault.Payment memory payment = _payment(1, NATIVE, 1 ether);
        _assertSkips(payment, _sign(payment, key), IVault.SkipReason.BadSignature);
    }

    function testFuzz_SkipsGarbageSignature(bytes calldata signature) public {
        _assertSkips(_payment(1, NATIVE, 1 ether), signature, IVault.SkipReason.BadSignature);
    }

    function testFuzz_SkipsSignatureOverAnyOtherContent(uint8 field, uint96 change) public {
        change = uint96(bound(change, 1, 50 ether));
        IVault.Payment memory payment = _payment(1, NATIVE, 1 ether);
        bytes memory signature = _sign(payment, signerKey);
        field = uint8(bound(field, 0, 5));
        if (field == 0) payment.id = bytes32(uint256(payment.id) + change);
        if (field == 1) payment.account = address(uint160(payment.account) ^ uint160(change));
        if (field == 2) (payment.token, payment.amount) = (address(usdc), 1e6);
        if (field == 3) payment.amount += change;
        if (field == 4) payment.destination = address(uint160(payment.destination) ^ uint160(change));
        if (field == 5) payment.deadline += change;
        _assertSkips(payment, signature, IVault.SkipReason.BadSignature);
    }

    function test_SkipsMirroredSignature() public {
        IVault.Payment memory payment = _payment(1, NATIVE, 1 ether);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(signerKey, vault.paymentDigest(payment));
        uint256 order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
        bytes memory mirrored = abi.encodePacked(r, bytes32(order - uint256(s)), v == 27 ? uint8(28) : uint8(27));
        _assertSkips(payment, mirrored, IVault.SkipReason.BadSignature);
    }

    function test_SkipsSignatureMadeForAnotherVault() public {
        IVault.Payment memory payment = _payment(1, NATIVE, 1 ether);
        bytes32 here = vault.paymentDigest(payment);
        deployCodeTo("Vault.sol:Vault", abi.encode(address(manager)), address(0xDEC0DE));
        bytes32 there = IVault(address(0xDEC0DE)).paymentDigest(payment);
        assertNotEq(here, there);
        _assertSkips(payment, _sign(there, signerKey), IVault.SkipReason.BadSignature);
    }

    function test_SkipsSignatureMadeForAnotherChain() public {
        IVault.Payment memory payment = _payment(1, NATIVE, 1 ether);
        bytes memory signature = _sign(payment, signerKey);
        vm.chainId(block.chainid + 1);
        _assertSkips(payment, signature, IVault.SkipReason.BadSignature);
    }

    function test_SkipsSignerWhoseRoleWasRevoked() public {
        uint64 role = vault.SIGNER_ROLE();
        vm.prank(admin);
        manager.revokeRole(role, signer);
        _assertSkips(_payment(1, NATIVE, 1 ether), IVault.SkipReason.BadSignature);
    }

    function test_SkipsSignerGrantedWithAnExecutionDelay() public {
        uint64 role = vault.SIGNER_ROLE();
        vm.prank(admin);
        manager.grantRole(role, bob, 1 hours);
        IVault.Payment memory payment = _payment(1, NATIVE, 1 ether);
        _assertSkips(payment, _sign(payment, bobKey), IVault.SkipReason.BadSignature);
    }

    // --------------------------------------------------------------- odd tokens

    function test_PaysTokenThatAnswersNothing() public {
        NoReturnToken token = new NoReturnToken();
        token.mint(alice, 100);
        vm.startPrank(alice);
        token.approve(address(vault), 100);
        vault.deposit(alice, address(token), 100);
        vm.stopPrank();
        _expectPaid(_payment(1, address(token), 60));
        _withdraw(_payment(1, address(token), 60));
        assertEq(token.balanceOf(destination), 60);
    }

    function test_KeepsPaymentClaimableWhenTheTokenAnswersFalse() public {
        PickyToken token = _fundedPicky();
        token.setBlocked(destination, true);
        token.setAnswersFalse(true);
        _assertBecomesClaimable(_payment(1, address(token), 60));
    }

    function test_KeepsPaymentClaimableWhenTheTokenReverts() public {
        PickyToken token = _fundedPicky();
        token.setBlocked(destination, true);
        _assertBecomesClaimable(_payment(1, address(token), 60));
    }

    function test_KeepsPaymentClaimableWhenTheTokenIsGone() public {
        PickyToken token = _fundedPicky();
        vm.etch(address(token), "");
        _assertBecomesClaimable(_payment(1, address(token), 60));
    }

    function testFuzz_KeepsPaymentClaimableWhenTheTokenIsHostile(uint8 mood) public {
        HostileToken token = new HostileToken();
        token.mint(alice, 100);
        vm.startPrank(alice);
        token.approve(address(vault), 100);
        vault.deposit(alice, address(token), 100);
        vm.stopPrank();
        token.setMood(HostileToken.Mood(mood % 5));
        _assertBecomesClaimable(_payment(1, address(token), 60));
    }

    function test_PaysGrossAmountWhenTheTokenTakesAFee() public {
        FeeToken token = new FeeToken();
        token.mint(alice, 10_000);
        vm.startPrank(alice);
        token.approve(address(vault), 10_000);
        vault.deposit(alice, address(token), 10_000);
        vm.stopPrank();
        _withdraw(_payment(1, address(token), 9_900));
        assertEq(token.balanceOf(destination), 9_801);
        assertEq(vault.accounted(address(token)), 0);
    }

    // ------------------------------------------------------------------- claims

    function test_LetsTheAccountClaimAFailedPaymentToAnyAddress() public {
        MoodyReceiver moody = new MoodyReceiver();
        IVault.Payment memory payment = _payment(1, NATIVE, 4 ether, address(moody));
        _assertBecomesClaimable(payment);
        vm.expectEmit(address(vault));
        emit IVault.Claimed(alice, NATIVE, 4 ether, stranger);
        vm.prank(alice);
        assertEq(vault.claim(NATIVE, stranger), 4 ether);
        assertEq(stranger.balance, 4 ether);
        assertEq(vault.claimable(alice, NATIVE), 0);
        assertEq(vault.claimableTotal(NATIVE), 0);
    }

    function test_ClaimsSeveralFailedPaymentsAtOnce() public {
        address moody = address(new MoodyReceiver());
        _withdraw(_payment(1, NATIVE, 4 ether, moody));
        _withdraw(_payment(2, NATIVE, 5 ether, moody));
        vm.prank(alice);
        assertEq(vault.claim(NATIVE, stranger), 9 ether);
    }

    function test_RejectsClaimOfNothing() public {
        vm.expectRevert(abi.encodeWithSelector(IVault.NothingToClaim.selector, bob, NATIVE));
        vm.prank(bob);
        vault.claim(NATIVE, bob);
    }

    function test_RejectsSecondClaimOfTheSamePayment() public {
        _withdraw(_payment(1, NATIVE, 4 ether, address(new MoodyReceiver())));
        vm.startPrank(alice);
        vault.claim(NATIVE, alice);
        vm.expectRevert(abi.encodeWithSelector(IVault.NothingToClaim.selector, alice, NATIVE));
        vault.claim(NATIVE, alice);
    }

    function test_RejectsClaimToDestinationsThatLoseFunds() public {
        _withdraw(_payment(1, NATIVE, 4 ether, address(new MoodyReceiver())));
        vm.startPrank(alice);
        vm.expectRevert(abi.encodeWithSelector(IVault.InvalidDestination.selector, address(0)));
        vault.claim(NATIVE, address(0));
        vm.expectRevert(abi.encodeWithSelector(IVault.InvalidDestination.selector, address(vault)));
        vault.claim(NATIVE, address(vault));
    }

    function test_KeepsTheClaimWhenItsTransferFails() public {
        MoodyReceiver moody = new MoodyReceiver();
        _withdraw(_payment(1, NATIVE, 4 ether, address(moody)));
        vm.startPrank(alice);
        vm.expectRevert(
            abi.encodeWithSelector(IVault.TransferFailed.selector, NATIVE, address(moody), uint256(4 ether))
        );
        vault.claim(NATIVE, address(moody));
        assertEq(vault.claimable(alice, NATIVE), 4 ether);
        moody.setAccepts(true);
        vault.claim(NATIVE, address(moody));
        assertEq(address(moody).balance, 4 ether);
    }

    function test_LetsAContractAccountClaimForItself() public {
        MoodyReceiver moody = new MoodyReceiver();
        IVault.Payment memory payment = _payment(1, NATIVE, 4 ether, address(moody));
        payment.account = address(moody);
        _withdraw(payment);
        moody.claim(vault, NATIVE, stranger);
        assertEq(stranger.balance, 4 ether);
    }

    function _fundedPicky() private returns (PickyToken token) {
        token = new PickyToken();
        token.mint(alice, 100);
        vm.startPrank(alice);
        token.approve(address(vault), 100);
        vault.deposit(alice, address(token), 100);
        vm.stopPrank();
    }

    function _assertBecomesClaimable(IVault.Payment memory payment) private {
        uint256 accountedBefore = vault.accounted(payment.token);
        _expectClaimable(payment);
        _withdraw(payment);
        assertTrue(vault.used(payment.id), "id");
        assertEq(vault.accounted(payment.token), accountedBefore - payment.amount, "accounted");
        assertEq(vault.claimable(payment.account, payment.token), payment.amount, "claimable");
        assertEq(vault.claimableTotal(payment.token), payment.amount, "total");
        assertEq(vault.flows(payment.account, payment.token).paid, payment.amount, "paid");
        _expectSkipped(payment, IVault.SkipReason.AlreadyUsed);
        _withdraw(payment);
    }
}
