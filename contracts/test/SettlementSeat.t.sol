// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {VaultFixture} from "./VaultFixture.sol";
import {PlainToken} from "./mocks/OddTokens.sol";
import {MoodyReceiver, ReentrantReceiver} from "./mocks/Receivers.sol";
import {ScriptedModule} from "./mocks/SettlementModules.sol";
import {IVault} from "contracts/src/interfaces/IVault.sol";

contract SettlementSeatTest is VaultFixture {
    ScriptedModule private module;
    uint256 private notice;

    function setUp() public override {
        super.setUp();
        module = new ScriptedModule();
        notice = vault.SETTLEMENT_NOTICE_SECONDS();
        _depositNative(alice, 10 ether);
    }

    // ------------------------------------------------------------- activation

    function test_ActivatesAfterTheNotice() public {
        vm.expectEmit(address(vault));
        emit IVault.SettlementModuleProposed(address(module), block.timestamp + notice);
        _propose(address(module));
        (address proposed, uint256 activatableAt) = vault.proposedSettlementModule();
        assertEq(proposed, address(module));
        assertEq(activatableAt, block.timestamp + 30 days);
        assertEq(vault.settlementModule(), address(0));
        skip(notice);
        vm.expectEmit(address(vault));
        emit IVault.SettlementModuleActivated(address(module));
        _activate();
        assertEq(vault.settlementModule(), address(module));
    }

    function testFuzz_RejectsActivationDuringTheNotice(uint256 wait) public {
        _propose(address(module));
        uint256 activatableAt = block.timestamp + notice;
        skip(bound(wait, 0, notice - 1));
        vm.expectRevert(abi.encodeWithSelector(IVault.SettlementModuleNoticeRunning.selector, activatableAt));
        _activate();
    }

    function test_RejectsActivationOfNothing() public {
        vm.expectRevert(IVault.NoSettlementModuleProposed.selector);
        _activate();
    }

    function test_NewProposalStartsTheNoticeAgain() public {
        _propose(address(module));
        skip(notice);
        ScriptedModule other = new ScriptedModule();
        _propose(address(other));
        vm.expectRevert(abi.encodeWithSelector(IVault.SettlementModuleNoticeRunning.selector, block.timestamp + notice));
        _activate();
    }

    function test_ProposalCanBeWithdrawn() public {
        _propose(address(module));
        _propose(address(0));
        skip(notice);
        vm.expectRevert(IVault.NoSettlementModuleProposed.selector);
        _activate();
    }

    function test_RejectsModuleWithoutCode() public {
        vm.expectRevert(abi.encodeWithSelector(IVault.SettlementModuleWithoutCode.selector, stranger));
        _propose(stranger);
        _propose(address(module));
        skip(notice);
        vm.etch(address(module), "");
        vm.expectRevert(abi.encodeWithSelector(IVault.SettlementModuleWithoutCode.selector, address(module)));
        _activate();
    }

    function test_ModuleIsSetOnceForEver() public {
        _seat();
        bytes memory reason = abi.encodeWithSelector(IVault.SettlementModuleAlreadySet.selector, address(module));
        address other = address(new ScriptedModule());
        vm.expectRevert(reason);
        _propose(other);
        vm.expectRevert(reason);
        _propose(address(0));
        vm.expectRevert(IVault.NoSettlementModuleProposed.selector);
        _activate();
    }

    function test_ProposedModuleHasNoPowerYet() public {
        _propose(address(module));
        module.setAnswer(ScriptedModule.Answer.No);
        vm.expectRevert(abi.encodeWithSelector(IVault.OnlySettlementModule.selector, address(module)));
        module.freeze(vault);
        _withdraw(_payment(1, NATIVE, 1 ether));
        assertEq(destination.balance, 1 ether);
    }

    // ----------------------------------------------------------------- mayPay

    function test_PaysWhatTheModuleAllows() public {
        _seat();
        _expectPaid(_payment(1, NATIVE, 1 ether));
        _withdraw(_payment(1, NATIVE, 1 ether));
    }

    function test_PaysWithTheProofTheModuleWants() public {
        _seat();
        module.setAnswer(ScriptedModule.Answer.OnlyWithProof);
        IVault.Payment memory payment = _payment(1, NATIVE, 1 ether);
        _assertSkips(payment, IVault.SkipReason.NotAllowedByModule);
        payment.proof = "proof";
        _expectPaid(payment);
        _withdraw(payment);
    }

    function test_SkipsWhatTheModuleDoesNotClearlyAllow() public {
        _seat();
        ScriptedModule.Answer[5] memory answers = [
            ScriptedModule.Answer.No,
            ScriptedModule.Answer.Revert,
            ScriptedModule.Answer.BurnGas,
            ScriptedModule.Answer.ShortAnswer,
            ScriptedModule.Answer.AnswerTwo
        ];
        for (uint256 i = 0; i < answers.length; ++i) {
            module.setAnswer(answers[i]);
            _assertSkips(_payment(i, NATIVE, 1 ether), IVault.SkipReason.NotAllowedByModule);
        }
    }

    function testFuzz_StarvedBatchNeverLooksLikeTheModulesRefusal(uint256 gasLimit) public {
        gasLimit = bound(gasLimit, 50_000, 1_500_000);
        _seat();
        module.setAnswer(ScriptedModule.Answer.HeavyYes);
        IVault.Payment memory payment = _payment(1, NATIVE, 1 ether);
        IVault.Payment[] memory payments = _single(payment);
        bytes[] memory signatures = _signAll(payments);
        vm.prank(sender);
        (bool ok,) = address(vault).call{gas: gasLimit}(abi.encodeCall(vault.withdraw, (payments, signatures)));
        assertEq(vault.used(payment.id), ok);
    }

    // ----------------------------------------------------------------- freeze

    function test_FreezeStopsDepositsAndWithdrawalsForEver() public {
        _seat();
        vm.expectEmit(address(vault));
        emit IVault.Frozen();
        module.freeze(vault);
        assertTrue(vault.frozen());
        IVault.Payment[] memory payments = _single(_payment(1, NATIVE, 1 ether));
        bytes[] memory signatures = _signAll(payments);
        vm.expectRevert(IVault.VaultFrozen.selector);
        vm.prank(sender);
        vault.withdraw(payments, signatures);
        skip(3650 days);
        vm.expectRevert(IVault.VaultFrozen.selector);
        vault.depositNative{value: 1}(alice);
        vm.expectRevert(IVault.VaultFrozen.selector);
        module.freeze(vault);
    }

    function test_FreezeCannotFallIntoTheMiddleOfABatch() public {
        _seat();
        module.setFreezesWhenPaid(vault);
        IVault.Payment[] memory payments = new IVault.Payment[](2);
        payments[0] = _payment(1, NATIVE, 1 ether, address(module));
        payments[1] = _payment(2, NATIVE, 1 ether);
        _expectClaimable(payments[0]);
        _expectPaid(payments[1]);
        _withdraw(payments);
        assertFalse(vault.frozen());
    }

    function test_FreezeDoesNotStopClaimsOrExit() public {
        _withdraw(_payment(1, NATIVE, 1 ether, address(new MoodyReceiver())));
        _seat();
        module.freeze(vault);
        vm.prank(alice);
        assertEq(vault.claim(NATIVE, stranger), 1 ether);
        module.exit(vault, bob, NATIVE, 9 ether);
        assertEq(vault.accounted(NATIVE), 0);
    }

    // ------------------------------------------------------------------- exit

    function test_ExitPaysTheAccount() public {
        _seat();
        uint256 balanceBefore = bob.balance;
        vm.expectEmit(address(vault));
        emit IVault.Exited(bob, NATIVE, 3 ether, true);
        module.exit(vault, bob, NATIVE, 3 ether);
        assertEq(bob.balance, balanceBefore + 3 ether);
        assertEq(vault.accounted(NATIVE), 7 ether);
        assertEq(vault.flows(bob, NATIVE).paid, 3 ether);
    }

    function test_ExitBecomesClaimableWhenTheTransferFails() public {
        _seat();
        MoodyReceiver moody = new MoodyReceiver();
        vm.expectEmit(address(vault));
        emit IVault.Exited(address(moody), NATIVE, 3 ether, false);
        module.exit(vault, address(moody), NATIVE, 3 ether);
        assertEq(vault.claimable(address(moody), NATIVE), 3 ether);
        moody.claim(vault, NATIVE, stranger);
        assertEq(stranger.balance, 3 ether);
    }

    function test_ExitIsNeitherPausedNorLimited() public {
        _seat();
        vm.prank(admin);
        vault.setOutflowLimit(NATIVE, 1, 1 days);
        vm.prank(guardian);
        vault.pause();
        module.exit(vault, stranger, NATIVE, 10 ether);
        assertEq(stranger.balance, 10 ether);
    }

    function test_RejectsExitOfMoreThanAccounted() public {
        _withdraw(_payment(1, NATIVE, 4 ether, address(new MoodyReceiver())));
        _seat();
        vm.deal(address(vault), 100 ether);
        vm.expectRevert(
            abi.encodeWithSelector(
                IVault.InsufficientAccounted.selector, NATIVE, uint256(6 ether) + 1, uint256(6 ether)
            )
        );
        module.exit(vault, bob, NATIVE, 6 ether + 1);
    }

    function test_RejectsExitToAccountsThatLoseFunds() public {
        _seat();
        vm.expectRevert(abi.encodeWithSelector(IVault.InvalidAccount.selector, address(0)));
        module.exit(vault, address(0), NATIVE, 1);
        vm.expectRevert(abi.encodeWithSelector(IVault.InvalidAccount.selector, address(vault)));
        module.exit(vault, address(vault), NATIVE, 1);
    }

    function test_RejectsExitWhenLifetimePaymentsWouldExceed128Bits() public {
        PlainToken token = new PlainToken();
        uint256 most = type(uint128).max;
        token.mint(bob, most + 10);
        vm.startPrank(bob);
        token.approve(address(vault), type(uint256).max);
        vault.deposit(bob, address(token), most);
        vault.deposit(alice, address(token), 10);
        vm.stopPrank();
        _withdraw(_payment(1, address(token), most));
        _seat();
        vm.expectRevert(abi.encodeWithSelector(IVault.AmountTooLarge.selector, 1));
        module.exit(vault, alice, address(token), 1);
        module.exit(vault, bob, address(token), 1);
        assertEq(token.balanceOf(bob), 1);
    }

    function test_ExitCannotBeReenteredByItsReceiver() public {
        ReentrantReceiver receiver = new ReentrantReceiver(vault);
        IVault.Payment memory payment = _payment(1, NATIVE, 2 ether, address(new MoodyReceiver()));
        payment.account = address(receiver);
        _withdraw(payment);
        _seat();
        vm.deal(stranger, 1); // an account that is there: the claim fits into what the receiver is given
        receiver.setCallback(abi.encodeCall(vault.claim, (NATIVE, stranger)), false);
        module.exit(vault, address(receiver), NATIVE, 1 ether);
        assertTrue(receiver.called());
        assertFalse(receiver.succeeded());
        assertEq(vault.claimable(address(receiver), NATIVE), 2 ether);
        assertEq(address(receiver).balance, 1 ether);
    }

    function _propose(address proposed) private {
        vm.prank(admin);
        vault.proposeSettlementModule(proposed);
    }

    function _activate() private {
        vm.prank(admin);
        vault.activateSettlementModule();
    }

    function _seat() private {
        _propose(address(module));
        skip(notice);
        _activate();
    }
}
