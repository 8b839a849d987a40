// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {VaultFixture} from "./VaultFixture.sol";
import {HeavyToken, HostileToken, PickyToken} from "./mocks/OddTokens.sol";
import {GasBurner, HeavyReceiver, LongReverter, MoodyReceiver, ReentrantReceiver} from "./mocks/Receivers.sol";
import {Vault} from "contracts/src/Vault.sol";
import {IVault} from "contracts/src/interfaces/IVault.sol";
import {BoundedTransfer} from "contracts/src/libraries/BoundedTransfer.sol";

/// @dev What somebody who wants other people's funds would try.
contract VaultThreatsTest is VaultFixture {
    ReentrantReceiver private attacker;

    function setUp() public override {
        super.setUp();
        _depositNative(alice, 100 ether);
        attacker = new ReentrantReceiver(vault);
        vm.deal(address(attacker), 10 ether);
    }

    // ------------------------------------------------------------- reentrancy

    function test_ReceiverCannotReenterWithdrawEvenAsSender() public {
        uint64 role = vault.SENDER_ROLE();
        vm.prank(admin);
        manager.grantRole(role, address(attacker), 0);
        IVault.Payment memory again = _payment(2, NATIVE, 50 ether, address(attacker));
        _assertReceiverCannotCall(abi.encodeCall(Vault.withdraw, (_single(again), _single(_sign(again, signerKey)))));
        assertFalse(vault.used(again.id));
    }

    function test_ReceiverCannotReenterDeposits() public {
        usdc.mint(address(attacker), 1);
        vm.prank(address(attacker));
        usdc.approve(address(vault), 1);
        bytes memory depositing = abi.encodeCall(vault.deposit, (address(attacker), address(usdc), 1));
        _assertReceiverCannotCall(depositing);
        _assertClaimantCannotCall(depositing);
        attacker.setValue(1);
        depositing = abi.encodeCall(vault.depositNative, (address(attacker)));
        _assertReceiverCannotCall(depositing);
        _assertClaimantCannotCall(depositing);
    }

    function test_ReceiverCannotReenterClaim() public {
        IVault.Payment memory payment = _payment(1, NATIVE, 5 ether, address(new MoodyReceiver()));
        payment.account = address(attacker);
        _withdraw(payment);
        attacker.setCallback(abi.encodeCall(vault.claim, (NATIVE, address(attacker))), false);
        attacker.claim(NATIVE, address(attacker));
        assertTrue(attacker.called());
        assertFalse(attacker.succeeded());
        assertEq(address(attacker).balance, 15 ether);
        assertEq(vault.claimable(address(attacker), NATIVE), 0);
    }

    function test_ReceiverCannotClaimAnotherTokenDuringAClaim() public {
        PickyToken token = new PickyToken();
        token.mint(alice, 100);
        vm.startPrank(alice);
        token.approve(address(vault), 100);
        vault.deposit(alice, address(token), 100);
        vm.stopPrank();
        token.setBlocked(destination, true);
        IVault.Payment memory payment = _payment(1, address(token), 100);
        payment.account = address(attacker);
        _withdraw(payment);
        payment = _payment(2, NATIVE, 5 ether, address(new MoodyReceiver()));
        payment.account = address(attacker);
        _withdraw(payment);
        attacker.setCallback(abi.encodeCall(vault.claim, (address(token), stranger)), false);
        attacker.claim(NATIVE, address(attacker));
        assertTrue(attacker.called());
        assertFalse(attacker.succeeded());
        assertEq(vault.claimable(address(attacker), address(token)), 100);
    }

    function test_ReceiverThatInsistsOnReenteringOnlyLosesItsPayment() public {
        attacker.setCallback(abi.encodeCall(vault.claim, (NATIVE, address(attacker))), true);
        IVault.Payment memory payment = _payment(1, NATIVE, 5 ether, address(attacker));
        _expectClaimable(payment);
        _withdraw(payment);
        assertEq(address(attacker).balance, 10 ether);
        assertEq(vault.claimable(alice, NATIVE), 5 ether);
    }

    // -------------------------------------------------------------------- gas

    function testFuzz_StarvedBatchNeverTurnsAGoodNativePaymentIntoAClaim(uint256 gasLimit) public {
        gasLimit = bound(gasLimit, 30_000, 400_000);
        _assertPaysOrReverts(_payment(1, NATIVE, 1 ether, address(new HeavyReceiver())), gasLimit);
    }

    function testFuzz_StarvedBatchNeverTurnsAGoodTokenPaymentIntoAClaim(uint256 gasLimit) public {
        gasLimit = bound(gasLimit, 30_000, 600_000);
        HeavyToken token = new HeavyToken();
        token.mint(alice, 100);
        vm.startPrank(alice);
        token.approve(address(vault), 100);
        vault.deposit(alice, address(token), 100);
        vm.stopPrank();
        token.setSlotsPerTransfer(6); // some 180,000 gas in all, near the stipend
        _assertPaysOrReverts(_payment(1, address(token), 60), gasLimit);
    }

    function test_RevertsWhenTheStipendCannotBeSupplied() public {
        IVault.Payment[] memory payments = _single(_payment(1, NATIVE, 1 ether));
        bytes[] memory signatures = _signAll(payments);
        vm.expectPartialRevert(BoundedTransfer.NotEnoughGas.selector);
        vm.prank(sender);
        vault.withdraw{gas: 200_000}(payments, signatures);
    }

    function test_ReceiverCannotBurnMoreThanItsStipend() public {
        uint256 spent = _spentPaying(NATIVE, address(new GasBurner()));
        assertLt(spent, 250_000);
        assertEq(vault.claimable(alice, NATIVE), 1);
    }

    function test_ReceiverCannotFillTheBatchMemory() public {
        uint256 spent = _spentPaying(NATIVE, address(new LongReverter()));
        assertLt(spent, 250_000);
        assertEq(vault.claimable(alice, NATIVE), 1);
    }

    function testFuzz_TokenCannotBurnMoreThanItsStipend(uint8 mood) public {
        HostileToken token = new HostileToken();
        token.mint(alice, 100);
        vm.startPrank(alice);
        token.approve(address(vault), 100);
        vault.deposit(alice, address(token), 100);
        vm.stopPrank();
        token.setMood(HostileToken.Mood(mood % 5));
        assertLt(_spentPaying(address(token), destination), 400_000);
        assertEq(vault.claimable(alice, address(token)), 1);
    }

    function test_OneHostileItemDoesNotHoldUpTheOthers() public {
        IVault.Payment[] memory payments = new IVault.Payment[](3);
        payments[0] = _payment(1, NATIVE, 1 ether, address(new GasBurner()));
        payments[1] = _payment(2, NATIVE, 1 ether, address(new LongReverter()));
        payments[2] = _payment(3, NATIVE, 1 ether);
        _expectClaimable(payments[0]);
        _expectClaimable(payments[1]);
        _expectPaid(payments[2]);
        _withdraw(payments);
    }

    function test_ClaimIsNotBoundByTheStipend() public {
        HeavyToken token = new HeavyToken();
        token.mint(alice, 100);
        vm.startPrank(alice);
        token.approve(address(vault), 100);
        vault.deposit(alice, address(token), 100);
        vm.stopPrank();
        token.setSlotsPerTransfer(20);
        _withdraw(_payment(1, address(token), 60));
        assertEq(vault.claimable(alice, address(token)), 60);
        vm.prank(alice);
        vault.claim(address(token), destination);
        assertEq(token.balanceOf(destination), 60);
    }

    // ------------------------------------------------------- replay elsewhere

    function test_SignatureDoesNotWorkInASecondVaultOfTheSameOperator() public {
        Vault second = new Vault(address(manager));
        _setUpRoles(second);
        second.depositNative{value: 10 ether}(alice);
        IVault.Payment memory payment = _payment(1, NATIVE, 1 ether);
        bytes[] memory signatures = _single(_sign(payment, signerKey));
        vm.expectEmit(address(second));
        emit IVault.PaymentSkipped(payment.id, IVault.SkipReason.BadSignature);
        vm.prank(sender);
        second.withdraw(_single(payment), signatures);
        assertEq(destination.balance, 0);
    }

    function test_BatchSignedBeforeAChainSplitPaysOnOneSideOnly() public {
        IVault.Payment memory payment = _payment(1, NATIVE, 1 ether);
        bytes memory signature = _sign(payment, signerKey);
        uint256 split = vm.snapshotState();
        _withdraw(payment, signature);
        assertEq(destination.balance, 1 ether);
        vm.revertToState(split);
        vm.chainId(block.chainid + 1);
        _assertSkips(payment, signature, IVault.SkipReason.BadSignature);
        assertEq(destination.balance, 0);
    }

    // ------------------------------------------------------ malformed batches

    function test_EmptyBatchDoesNothing() public {
        vm.recordLogs();
        _withdraw(new IVault.Payment[](0));
        assertEq(vm.getRecordedLogs().length, 0);
    }

    /// @dev Whatever byte of a good batch is changed: what is paid, if anything, is what was signed.
    function testFuzz_ChangedCalldataPaysWhatWasSignedOrNothing(uint256 position, uint8 change) public {
        bytes memory data = _goodBatch();
        position = bound(position, 4, data.length - 1);
        data[position] = bytes1(uint8(data[position]) ^ uint8(bound(change, 1, 255)));
        _assertPaysWhatWasSignedOrNothing(data);
    }

    function testFuzz_CutCalldataPaysNothing(uint256 length) public {
        bytes memory data = _goodBatch();
        length = bound(length, 0, data.length - 32);
        assembly ("memory-safe") {
            mstore(data, length)
        }
        vm.prank(sender);
        (bool ok,) = address(vault).call(data);
        assertFalse(ok);
        assertEq(destination.balance, 0);
    }

    function test_SignatureInAnyOtherFormIsNone() public {
        IVault.Payment memory payment = _payment(1, NATIVE, 1 ether);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(signerKey, vault.paymentDigest(payment));
        bytes32 compact = bytes32(uint256(s) | (uint256(v - 27) << 255));
        _assertSkips(payment, abi.encodePacked(r, compact), IVault.SkipReason.BadSignature);
        _assertSkips(payment, abi.encodePacked(r, s, v - 27), IVault.SkipReason.BadSignature);
        _assertSkips(payment, abi.encodePacked(r, s, v, uint8(0)), IVault.SkipReason.BadSignature);
        _assertSkips(payment, abi.encode(v, r, s), IVault.SkipReason.BadSignature);
        _assertSkips(payment, "", IVault.SkipReason.BadSignature);
    }

    function _goodBatch() private view returns (bytes memory) {
        IVault.Payment[] memory payments = new IVault.Payment[](2);
        payments[0] = _payment(1, NATIVE, 1 ether);
        payments[1] = _payment(2, NATIVE, 2 ether);
        payments[1].proof = "unsigned";
        return abi.encodeCall(vault.withdraw, (payments, _signAll(payments)));
    }

    function _assertPaysWhatWasSignedOrNothing(bytes memory data) private {
        vm.prank(sender);
        (bool ok,) = address(vault).call(data);
        bool first = vault.used(bytes32(uint256(1)));
        bool second = vault.used(bytes32(uint256(2)));
        assertTrue(ok || (!first && !second), "nothing of a failed call");
        uint256 paid = (first ? 1 ether : 0) + (second ? 2 ether : 0);
        assertEq(destination.balance, paid, "to whom it was signed");
        assertEq(address(vault).balance, 100 ether - paid, "and no more");
        assertEq(vault.accounted(NATIVE), 100 ether - paid, "accounted");
        assertEq(vault.flows(alice, NATIVE).paid, paid, "for whom it was signed");
    }

    function _assertReceiverCannotCall(bytes memory callback) private {
        attacker.setCallback(callback, false);
        uint256 balanceBefore = address(attacker).balance;
        uint256 countBefore = vault.depositCount();
        _withdraw(_payment(uint256(keccak256(callback)), NATIVE, 1 ether, address(attacker)));
        assertTrue(attacker.called(), "called back");
        assertFalse(attacker.succeeded(), "refused");
        assertEq(address(attacker).balance, balanceBefore + 1 ether, "balance");
        assertEq(vault.depositCount(), countBefore, "deposits");
    }

    /// @dev A claim comes with all the gas there is, so nothing but the lock is in the way.
    function _assertClaimantCannotCall(bytes memory callback) private {
        attacker.setCallback("", false);
        IVault.Payment memory payment =
            _payment(uint256(keccak256(callback)) + 1, NATIVE, 1 ether, address(new MoodyReceiver()));
        payment.account = address(attacker);
        _withdraw(payment);
        attacker.setCallback(callback, false);
        uint256 countBefore = vault.depositCount();
        attacker.claim(NATIVE, address(attacker));
        assertFalse(attacker.succeeded(), "refused");
        assertEq(vault.depositCount(), countBefore, "deposits");
    }

    function _assertPaysOrReverts(IVault.Payment memory payment, uint256 gasLimit) private {
        IVault.Payment[] memory payments = _single(payment);
        bytes[] memory signatures = _signAll(payments);
        vm.prank(sender);
        (bool ok,) = address(vault).call{gas: gasLimit}(abi.encodeCall(vault.withdraw, (payments, signatures)));
        assertEq(vault.claimableTotal(payment.token), 0, "claimable");
        assertEq(vault.used(payment.id), ok, "paid if and only if the call succeeded");
    }

    function _spentPaying(address token, address to) private returns (uint256) {
        IVault.Payment[] memory payments = _single(_payment(1, token, 1, to));
        bytes[] memory signatures = _signAll(payments);
        vm.prank(sender);
        uint256 gasBefore = gasleft();
        vault.withdraw(payments, signatures);
        return gasBefore - gasleft();
    }
}
