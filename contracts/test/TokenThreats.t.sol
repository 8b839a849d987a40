// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {VaultFixture} from "./VaultFixture.sol";
import {
    FalseToken,
    HookToken,
    ITokenHook,
    PhantomToken,
    PickyToken,
    RebasingToken,
    ReentrantToken
} from "./mocks/OddTokens.sol";
import {MoodyReceiver} from "./mocks/Receivers.sol";
import {TokenHook} from "./mocks/TokenHook.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Vault} from "contracts/src/Vault.sol";
import {IVault} from "contracts/src/interfaces/IVault.sol";

/// @dev What odd tokens, and people with odd tokens, would try.
contract TokenThreatsTest is VaultFixture {
    TokenHook private attacker;
    HookToken private hookToken;

    function setUp() public override {
        super.setUp();
        hookToken = new HookToken();
        attacker = new TokenHook();
        hookToken.mint(alice, 1_000);
        hookToken.mint(address(attacker), 100);
        attacker.act(address(hookToken), abi.encodeCall(IERC20.approve, (address(vault), type(uint256).max)));
        attacker.act(address(hookToken), abi.encodeCall(HookToken.setHook, (attacker)));
    }

    // ------------------------------------------------------------ hooks, ERC-777

    /// @dev Without a lock the outer deposit would count the inner one's atoms once more: 150 for 100.
    function test_DepositorCannotDepositAgainBeforeItsTokensMove() public {
        attacker.onSend(address(vault), abi.encodeCall(IVault.deposit, (address(attacker), address(hookToken), 50)));
        attacker.act(address(vault), abi.encodeCall(IVault.deposit, (address(attacker), address(hookToken), 50)));
        assertTrue(attacker.called());
        assertFalse(attacker.succeeded());
        assertEq(vault.accounted(address(hookToken)), 50);
        assertEq(hookToken.balanceOf(address(vault)), 50);
        assertEq(vault.depositCount(), 1);
    }

    function test_PayeeCannotDepositWhileItIsPaid() public {
        _depositHookTokens(1_000);
        attacker.onReceive(address(vault), abi.encodeCall(IVault.deposit, (address(attacker), address(hookToken), 50)));
        _expectPaid(_payment(1, address(hookToken), 400, address(attacker)));
        _withdraw(_payment(1, address(hookToken), 400, address(attacker)));
        assertTrue(attacker.called());
        assertFalse(attacker.succeeded());
        assertEq(vault.depositCount(), 1);
        assertEq(vault.accounted(address(hookToken)), 600);
    }

    function test_PayeeCannotWithdrawAgainWhileItIsPaidEvenAsSender() public {
        _depositHookTokens(1_000);
        uint64 role = vault.SENDER_ROLE();
        vm.prank(admin);
        manager.grantRole(role, address(attacker), 0);
        IVault.Payment memory payment = _payment(1, address(hookToken), 400, address(attacker));
        attacker.onReceive(
            address(vault), abi.encodeCall(Vault.withdraw, (_single(payment), _single(_sign(payment, signerKey))))
        );
        _withdraw(payment);
        assertTrue(attacker.called());
        assertFalse(attacker.succeeded());
        assertEq(hookToken.balanceOf(address(attacker)), 500);
    }

    function test_ClaimantCannotClaimAgainWhileItIsPaid() public {
        _depositHookTokens(1_000);
        IVault.Payment memory payment = _payment(1, address(hookToken), 400, address(attacker));
        payment.account = address(attacker);
        attacker.refuse(true);
        _expectClaimable(payment);
        _withdraw(payment);
        attacker.refuse(false);
        bytes memory claiming = abi.encodeCall(IVault.claim, (address(hookToken), address(attacker)));
        attacker.onReceive(address(vault), claiming);
        attacker.act(address(vault), claiming);
        assertTrue(attacker.called());
        assertFalse(attacker.succeeded());
        assertEq(hookToken.balanceOf(address(attacker)), 500);
        assertEq(vault.claimableTotal(address(hookToken)), 0);
    }

    /// @dev Whoever reads the vault from within a payment must not see more owed than there is.
    function test_NothingIsOwedTwiceWhileAPaymentRuns() public {
        _depositHookTokens(1_000);
        attacker.onReceive(address(this), abi.encodeCall(this.assertCovered, ()));
        _withdraw(_payment(1, address(hookToken), 400, address(attacker)));
        assertTrue(attacker.succeeded());
    }

    function assertCovered() external view {
        uint256 owed = vault.accounted(address(hookToken)) + vault.claimableTotal(address(hookToken));
        assertEq(owed, hookToken.balanceOf(address(vault)));
    }

    function test_TokenCannotDepositItselfWhileItIsDeposited() public {
        ReentrantToken token = new ReentrantToken();
        token.mint(alice, 100);
        token.mint(address(token), 100);
        vm.prank(address(token));
        token.approve(address(vault), 100);
        vm.startPrank(alice);
        token.approve(address(vault), 100);
        token.setCallback(address(vault), abi.encodeCall(IVault.deposit, (alice, address(token), 10)));
        vault.deposit(alice, address(token), 50);
        assertTrue(token.called());
        assertFalse(token.succeeded());
        assertEq(vault.accounted(address(token)), 50);
        assertEq(vault.depositCount(), 1);
    }

    // ----------------------------------------------------------------- rebasing

    function test_GainOfARebasingTokenIsCreditedToNobody() public {
        RebasingToken token = _depositRebasing(alice, 100);
        token.rebase(300);
        assertEq(vault.accounted(address(token)), 100);
        _depositRebasing(token, bob, 30);
        assertEq(vault.flows(bob, address(token)).deposited, 30);
        assertEq(vault.accounted(address(token)), 130);
        _assertSkips(_payment(1, address(token), 131), IVault.SkipReason.InsufficientBalance);
    }

    function test_LossOfARebasingTokenIsNobodyElses() public {
        RebasingToken token = _depositRebasing(alice, 100);
        _depositNative(bob, 10 ether);
        _depositUsdc(bob, 10e6);
        token.rebase(40);
        IVault.Payment[] memory payments = new IVault.Payment[](4);
        payments[0] = _payment(1, address(token), 60); // more than is left
        payments[1] = _payment(2, address(token), 40);
        payments[2] = _payment(3, NATIVE, 10 ether);
        payments[3] = _payment(4, address(usdc), 10e6);
        _expectClaimable(payments[0]);
        _expectPaid(payments[1]);
        _expectPaid(payments[2]);
        _expectPaid(payments[3]);
        _withdraw(payments);
        vm.expectPartialRevert(IVault.TransferFailed.selector);
        vm.prank(alice);
        vault.claim(address(token), alice);
        assertEq(vault.claimable(alice, address(token)), 60);
    }

    // ----------------------------------------------------------- odd answers

    function test_DepositThatTheTokenAnswersWithFalseIsNone() public {
        FalseToken token = new FalseToken();
        token.mint(alice, 100);
        vm.startPrank(alice);
        token.approve(address(vault), 100);
        vm.expectRevert(abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, address(token)));
        vault.deposit(alice, address(token), 100);
        assertEq(vault.depositCount(), 0);
    }

    /// @dev A permit that any token "accepts" gives nobody the allowance of somebody else.
    function test_PermitThatSucceedsWithoutMeaningTakesNothingFromOthers() public {
        PhantomToken token = new PhantomToken();
        token.mint(alice, 100);
        vm.prank(alice);
        token.approve(address(vault), type(uint256).max);
        vm.expectRevert();
        vm.prank(stranger);
        vault.depositWithPermit(stranger, address(token), 100, block.timestamp, 27, 0, 0);
        assertEq(token.balanceOf(alice), 100);
    }

    function test_AuthorizationThatSucceedsWithoutMeaningCreditsNothing() public {
        PhantomToken token = new PhantomToken();
        token.mint(alice, 100);
        vm.prank(alice);
        token.approve(address(vault), type(uint256).max);
        vm.expectRevert(abi.encodeWithSelector(IVault.NothingReceived.selector, address(token)));
        vm.prank(stranger);
        vault.depositWithAuthorization(stranger, address(token), alice, 100, 0, type(uint48).max, 0, 27, 0, 0);
    }

    // -------------------------------------------------------------- block lists

    function test_PaymentToABlockedDestinationIsClaimedElsewhere() public {
        PickyToken token = _depositPicky(100);
        token.setBlocked(destination, true);
        IVault.Payment memory payment = _payment(1, address(token), 60);
        _expectClaimable(payment);
        _withdraw(payment);
        vm.startPrank(alice);
        vm.expectRevert(
            abi.encodeWithSelector(IVault.TransferFailed.selector, address(token), destination, uint256(60))
        );
        vault.claim(address(token), destination);
        assertEq(vault.claim(address(token), stranger), 60);
        assertEq(token.balanceOf(stranger), 60);
        assertEq(vault.claimableTotal(address(token)), 0);
    }

    function test_PaymentsOfATokenThatBlocksTheVaultWaitAsClaims() public {
        PickyToken token = _depositPicky(100);
        token.setBlocked(address(vault), true);
        IVault.Payment memory payment = _payment(1, address(token), 60);
        _expectClaimable(payment);
        _withdraw(payment);
        token.setBlocked(address(vault), false);
        vm.prank(alice);
        assertEq(vault.claim(address(token), destination), 60);
    }

    function test_NobodyClaimsForSomebodyElse() public {
        PickyToken token = _depositPicky(100);
        token.setBlocked(destination, true);
        _withdraw(_payment(1, address(token), 60));
        address[4] memory others = [bob, destination, admin, sender];
        for (uint256 i = 0; i < others.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IVault.NothingToClaim.selector, others[i], address(token)));
            vm.prank(others[i]);
            vault.claim(address(token), others[i]);
        }
    }

    // ------------------------------------------------------------- forced funds

    function test_NativeForcedInByADyingContractBelongsToNobody() public {
        _depositNative(alice, 1 ether);
        _dieInto(address(vault), 50 ether);
        assertEq(address(vault).balance, 51 ether);
        assertEq(vault.accounted(NATIVE), 1 ether);
        assertEq(vault.depositCount(), 1);
        _assertSkips(_payment(1, NATIVE, 1 ether + 1), IVault.SkipReason.InsufficientBalance);
        _depositNative(bob, 2 ether);
        assertEq(vault.flows(bob, NATIVE).deposited, 2 ether);
        _expectPaid(_payment(2, NATIVE, 3 ether));
        _withdraw(_payment(2, NATIVE, 3 ether));
    }

    /// @dev A block's fees come as forced funds do: the balance grows and no code runs.
    function test_NativeForcedInAsBlockRewardBelongsToNobody() public {
        _depositNative(alice, 1 ether);
        vm.coinbase(address(vault));
        vm.deal(address(vault), address(vault).balance + 3 ether);
        assertEq(vault.accounted(NATIVE), 1 ether);
        _assertSkips(_payment(1, NATIVE, 1 ether + 1), IVault.SkipReason.InsufficientBalance);
    }

    function test_ForcedFundsCoverNoClaimTwice() public {
        _depositNative(alice, 1 ether);
        _withdraw(_payment(1, NATIVE, 1 ether, address(new MoodyReceiver())));
        _dieInto(address(vault), 50 ether);
        vm.startPrank(alice);
        assertEq(vault.claim(NATIVE, destination), 1 ether);
        vm.expectRevert(abi.encodeWithSelector(IVault.NothingToClaim.selector, alice, NATIVE));
        vault.claim(NATIVE, destination);
    }

    function _dieInto(address heir, uint256 amount) private {
        bytes memory code = abi.encodePacked(hex"73", heir, hex"ff"); // PUSH20 heir, SELFDESTRUCT
        vm.deal(address(this), amount);
        assembly ("memory-safe") {
            pop(create(amount, add(code, 0x20), mload(code)))
        }
    }

    function _depositHookTokens(uint256 amount) private {
        vm.startPrank(alice);
        hookToken.approve(address(vault), amount);
        vault.deposit(alice, address(hookToken), amount);
        vm.stopPrank();
    }

    function _depositRebasing(address account, uint256 amount) private returns (RebasingToken token) {
        token = new RebasingToken();
        _depositRebasing(token, account, amount);
    }

    function _depositRebasing(RebasingToken token, address account, uint256 amount) private {
        token.mint(account, amount);
        vm.startPrank(account);
        token.approve(address(vault), amount);
        vault.deposit(account, address(token), amount);
        vm.stopPrank();
    }

    function _depositPicky(uint256 amount) private returns (PickyToken token) {
        token = new PickyToken();
        token.mint(alice, amount);
        vm.startPrank(alice);
        token.approve(address(vault), amount);
        vault.deposit(alice, address(token), amount);
        vm.stopPrank();
    }
}
