// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {VaultFixture} from "./VaultFixture.sol";
import {EmptyHandedToken, FeeToken, NoReturnToken, PlainToken} from "./mocks/OddTokens.sol";
import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IVault} from "contracts/src/interfaces/IVault.sol";

contract VaultDepositsTest is VaultFixture {
    bytes32 private constant SALT = "salt";
    bytes32 private constant PERMIT_TYPEHASH =
        keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
    bytes32 private constant RECEIVE_TYPEHASH = keccak256(
        "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
    );

    function test_DepositHashStartsFromChainAndVault() public view {
        assertEq(vault.depositHash(), keccak256(abi.encode(block.chainid, address(vault))));
        assertEq(vault.depositCount(), 0);
    }

    function testFuzz_CreditsNativeDepositToTheNamedAccount(address account, uint96 amount) public {
        vm.assume(account != address(0));
        amount = uint96(bound(amount, 1, alice.balance));
        bytes32 rolled = keccak256(abi.encode(vault.depositHash(), 1, account, NATIVE, uint256(amount)));
        vm.expectEmit(address(vault));
        emit IVault.Deposited(1, account, NATIVE, amount, alice, rolled);
        vm.prank(alice);
        assertEq(vault.depositNative{value: amount}(account), 1);
        assertEq(vault.accounted(NATIVE), amount);
        assertEq(vault.depositHash(), rolled);
        assertEq(vault.flows(account, NATIVE).deposited, amount);
        assertEq(vault.flows(account, NATIVE).firstId, 1);
    }

    function testFuzz_CreditsTokenDepositToTheNamedAccount(address account, uint96 amount) public {
        vm.assume(account != address(0));
        amount = uint96(bound(amount, 1, type(uint96).max));
        bytes32 rolled = keccak256(abi.encode(vault.depositHash(), 1, account, address(usdc), uint256(amount)));
        vm.expectEmit(address(vault));
        emit IVault.Deposited(1, account, address(usdc), amount, alice, rolled);
        vm.prank(alice);
        assertEq(vault.deposit(account, address(usdc), amount), 1);
        assertEq(vault.accounted(address(usdc)), amount);
        assertEq(usdc.balanceOf(address(vault)), amount);
    }

    function test_NumbersDepositsAcrossAccountsAndTokens() public {
        assertEq(_depositNative(alice, 1), 1);
        assertEq(_depositUsdc(bob, 2), 2);
        assertEq(_depositUsdc(alice, 3), 3);
        assertEq(_depositUsdc(alice, 4), 4);
        assertEq(vault.flows(alice, address(usdc)).firstId, 3);
        assertEq(vault.flows(alice, address(usdc)).deposited, 7);
        assertEq(vault.flows(bob, address(usdc)).firstId, 2);
    }

    function test_RejectsNativeDepositOfNothing() public {
        vm.expectRevert(abi.encodeWithSelector(IVault.NothingReceived.selector, NATIVE));
        vault.depositNative(alice);
    }

    function test_RejectsTokenDepositOfNothing() public {
        vm.expectRevert(abi.encodeWithSelector(IVault.NothingReceived.selector, address(usdc)));
        vault.deposit(alice, address(usdc), 0);
    }

    function test_RejectsDepositForAccountZero() public {
        vm.expectRevert(abi.encodeWithSelector(IVault.InvalidAccount.selector, address(0)));
        vault.depositNative{value: 1}(address(0));
    }

    function test_RejectsNativeTokenInTokenDeposits() public {
        bytes memory reason = abi.encodeWithSelector(IVault.InvalidToken.selector, NATIVE);
        vm.expectRevert(reason);
        vault.deposit(alice, NATIVE, 1);
        vm.expectRevert(reason);
        vault.depositWithAuthorization(alice, NATIVE, alice, 1, 0, 1, 0, 27, 0, 0);
    }

    function test_RejectsTokenWithoutCode() public {
        vm.expectRevert();
        vault.deposit(alice, makeAddr("nothing there"), 1);
    }

    function test_RejectsPlainSends() public {
        vm.prank(alice);
        (bool sent,) = address(vault).call{value: 1 ether}("");
        assertFalse(sent);
        vm.prank(alice);
        (sent,) = address(vault).call{value: 1 ether}("unknown function");
        assertFalse(sent);
    }

    function test_RejectsDepositWithoutAllowance() public {
        usdc.mint(stranger, 5);
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, address(vault), 0, 5));
        vm.prank(stranger);
        vault.deposit(stranger, address(usdc), 5);
    }

    function testFuzz_CreditsWhatArrivesWhenTheTokenTakesAFee(uint96 amount) public {
        amount = uint96(bound(amount, 100, type(uint96).max));
        FeeToken token = new FeeToken();
        token.mint(alice, amount);
        vm.startPrank(alice);
        token.approve(address(vault), amount);
        vault.deposit(alice, address(token), amount);
        assertEq(vault.accounted(address(token)), amount - amount / 100);
        assertEq(vault.accounted(address(token)), token.balanceOf(address(vault)));
    }

    function test_RejectsTokenThatMovesNothing() public {
        EmptyHandedToken token = new EmptyHandedToken();
        vm.expectRevert(abi.encodeWithSelector(IVault.NothingReceived.selector, address(token)));
        vault.deposit(alice, address(token), 100);
    }

    function test_AcceptsTokenThatAnswersNothing() public {
        NoReturnToken token = new NoReturnToken();
        token.mint(alice, 100);
        vm.startPrank(alice);
        token.approve(address(vault), 100);
        vault.deposit(alice, address(token), 100);
        vm.stopPrank();
        assertEq(vault.accounted(address(token)), 100);
    }

    function test_RejectsDepositTotalOver128Bits() public {
        PlainToken token = new PlainToken();
        uint256 most = type(uint128).max;
        token.mint(alice, most + 1);
        vm.startPrank(alice);
        token.approve(address(vault), type(uint256).max);
        vm.expectRevert(abi.encodeWithSelector(IVault.AmountTooLarge.selector, most + 1));
        vault.deposit(alice, address(token), most + 1);
        vault.deposit(alice, address(token), most);
        vm.expectRevert(abi.encodeWithSelector(IVault.AmountTooLarge.selector, 1));
        vault.deposit(alice, address(token), 1);
    }

    function test_IgnoresForcedFunds() public {
        _depositNative(alice, 5);
        vm.deal(address(vault), 100 ether);
        usdc.mint(address(vault), 100);
        assertEq(vault.accounted(NATIVE), 5);
        _depositUsdc(bob, 7);
        assertEq(vault.accounted(address(usdc)), 7);
        assertEq(vault.flows(bob, address(usdc)).deposited, 7);
    }

    // ---------------------------------------------------------------- permit

    function test_DepositsWithPermit() public {
        (address carol, uint256 key) = _carol(50);
        (uint8 v, bytes32 r, bytes32 s) = _signPermit(carol, key, 50);
        vm.prank(carol);
        vault.depositWithPermit(bob, address(usdc), 50, block.timestamp, v, r, s);
        assertEq(vault.flows(bob, address(usdc)).deposited, 50);
        assertEq(usdc.balanceOf(carol), 0);
    }

    function test_DepositsWithPermitSomebodyElseSubmittedFirst() public {
        (address carol, uint256 key) = _carol(50);
        (uint8 v, bytes32 r, bytes32 s) = _signPermit(carol, key, 50);
        vm.prank(stranger);
        usdc.permit(carol, address(vault), 50, block.timestamp, v, r, s);
        vm.prank(carol);
        vault.depositWithPermit(carol, address(usdc), 50, block.timestamp, v, r, s);
        assertEq(vault.flows(carol, address(usdc)).deposited, 50);
    }

    function test_RejectsPermitOfSomebodyElse() public {
        (address carol, uint256 key) = _carol(50);
        (uint8 v, bytes32 r, bytes32 s) = _signPermit(carol, key, 50);
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, address(vault), 0, 50));
        vm.prank(stranger);
        vault.depositWithPermit(stranger, address(usdc), 50, block.timestamp, v, r, s);
        assertEq(usdc.balanceOf(carol), 50);
    }

    function test_RejectsExpiredPermit() public {
        (address carol, uint256 key) = _carol(50);
        uint256 deadline = block.timestamp;
        (uint8 v, bytes32 r, bytes32 s) = _signPermit(carol, key, 50);
        vm.warp(deadline + 1);
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, address(vault), 0, 50));
        vm.prank(carol);
        vault.depositWithPermit(carol, address(usdc), 50, deadline, v, r, s);
    }

    // --------------------------------------------------------- authorization

    function test_DepositsWithAuthorizationSubmittedByAnyone() public {
        (address carol, uint256 key) = _carol(50);
        (uint8 v, bytes32 r, bytes32 s) = _signAuthorization(carol, key, 50, bob, SALT);
        bytes32 rolled = keccak256(abi.encode(vault.depositHash(), 1, bob, address(usdc), 50));
        vm.expectEmit(address(vault));
        emit IVault.Deposited(1, bob, address(usdc), 50, carol, rolled);
        vm.prank(stranger);
        vault.depositWithAuthorization(bob, address(usdc), carol, 50, 0, type(uint48).max >> 1, SALT, v, r, s);
        assertEq(vault.flows(bob, address(usdc)).deposited, 50);
    }

    function test_RejectsAuthorizationForAnotherAccount() public {
        (address carol, uint256 key) = _carol(50);
        (uint8 v, bytes32 r, bytes32 s) = _signAuthorization(carol, key, 50, bob, SALT);
        vm.expectRevert();
        vm.prank(stranger);
        vault.depositWithAuthorization(stranger, address(usdc), carol, 50, 0, type(uint48).max >> 1, SALT, v, r, s);
        assertEq(vault.depositCount(), 0);
    }

    function test_RejectsAuthorizationUsedTwice() public {
        (address carol, uint256 key) = _carol(100);
        (uint8 v, bytes32 r, bytes32 s) = _signAuthorization(carol, key, 50, bob, SALT);
        vault.depositWithAuthorization(bob, address(usdc), carol, 50, 0, type(uint48).max >> 1, SALT, v, r, s);
        vm.expectRevert();
        vault.depositWithAuthorization(bob, address(usdc), carol, 50, 0, type(uint48).max >> 1, SALT, v, r, s);
        assertEq(usdc.balanceOf(carol), 50);
    }

    function test_NobodyCanTakeAnAuthorizationPastTheVault() public {
        (address carol, uint256 key) = _carol(50);
        (uint8 v, bytes32 r, bytes32 s) = _signAuthorization(carol, key, 50, bob, SALT);
        bytes32 nonce = keccak256(abi.encode(bob, SALT));
        vm.expectRevert();
        vm.prank(stranger);
        usdc.receiveWithAuthorization(carol, address(vault), 50, 0, type(uint48).max >> 1, nonce, v, r, s);
    }

    function _carol(uint256 funds) private returns (address carol, uint256 key) {
        (carol, key) = makeAddrAndKey("carol");
        usdc.mint(carol, funds);
    }

    function _signPermit(address owner, uint256 key, uint256 amount)
        private
        view
        returns (uint8 v, bytes32 r, bytes32 s)
    {
        bytes32 structHash = keccak256(
            abi.encode(PERMIT_TYPEHASH, owner, address(vault), amount, usdc.nonces(owner), block.timestamp)
        );
        return vm.sign(key, keccak256(abi.encodePacked("\x19\x01", usdc.DOMAIN_SEPARATOR(), structHash)));
    }

    function _signAuthorization(address from, uint256 key, uint256 amount, address account, bytes32 salt)
        private
        view
        returns (uint8 v, bytes32 r, bytes32 s)
    {
        bytes32 nonce = keccak256(abi.encode(account, salt));
        bytes32 structHash = keccak256(
            abi.encode(RECEIVE_TYPEHASH, from, address(vault), amount, 0, uint256(type(uint48).max >> 1), nonce)
        );
        return vm.sign(key, keccak256(abi.encodePacked("\x19\x01", usdc.DOMAIN_SEPARATOR(), structHash)));
    }
}
