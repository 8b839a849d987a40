// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {DepositAddressesFixture} from "./DepositAddressesFixture.sol";
import {FeeToken, NoReturnToken, PlainToken} from "./mocks/OddTokens.sol";
import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import {DepositAddresses} from "contracts/src/DepositAddresses.sol";
import {DepositForwarder} from "contracts/src/DepositForwarder.sol";
import {IDepositAddresses} from "contracts/src/interfaces/IDepositAddresses.sol";
import {IVault} from "contracts/src/interfaces/IVault.sol";
import {BoundedTransfer} from "contracts/src/libraries/BoundedTransfer.sol";

contract DepositAddressesTest is DepositAddressesFixture {
    // ------------------------------------------------------------ construction

    function test_KnowsItsVaultAndAuthority() public view {
        assertEq(address(addresses.vault()), address(vault));
        assertEq(addresses.authority(), address(manager));
    }

    function test_RejectsAuthorityOrVaultWithoutCode() public {
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedInvalidAuthority.selector, stranger));
        new DepositAddresses(stranger, vault);
        vm.expectRevert(abi.encodeWithSelector(IDepositAddresses.InvalidVault.selector, stranger));
        new DepositAddresses(address(manager), IVault(stranger));
    }

    // --------------------------------------------------------------- addresses

    function testFuzz_AddressFollowsThePublishedFormula(address account) public view {
        vm.assume(account != address(0));
        bytes32 initCodeHash =
            keccak256(abi.encodePacked(type(DepositForwarder).creationCode, abi.encode(vault, account)));
        bytes32 digest = keccak256(
            abi.encodePacked(bytes1(0xff), address(addresses), bytes32(uint256(uint160(account))), initCodeHash)
        );
        assertEq(addresses.addressOf(account), address(uint160(uint256(digest))));
    }

    function testFuzz_AddressIsTheSameBeforeAndAfterItHasCode(address account) public {
        vm.assume(account != address(0));
        address before = addresses.addressOf(account);
        assertEq(before.code.length, 0);
        vm.expectEmit(address(addresses));
        emit IDepositAddresses.ForwarderDeployed(account, before);
        assertEq(addresses.deploy(account), before);
        assertGt(before.code.length, 0);
        assertEq(addresses.addressOf(account), before);
        assertEq(DepositForwarder(payable(before)).account(), account);
        assertEq(address(DepositForwarder(payable(before)).vault()), address(vault));
        assertEq(address(DepositForwarder(payable(before)).factory()), address(addresses));
    }

    function testFuzz_NoTwoAccountsShareAnAddress(address one, address other) public view {
        vm.assume(one != address(0) && other != address(0) && one != other);
        assertNotEq(addresses.addressOf(one), addresses.addressOf(other));
    }

    function test_RejectsAccountZero() public {
        bytes memory reason = abi.encodeWithSelector(IVault.InvalidAccount.selector, address(0));
        vm.expectRevert(reason);
        addresses.addressOf(address(0));
        vm.expectRevert(reason);
        addresses.deploy(address(0));
        vm.expectRevert(reason);
        addresses.sweep(address(0), NATIVE);
    }

    function test_DeployingTwiceDoesNothingMore() public {
        addresses.deploy(alice);
        vm.recordLogs();
        assertEq(addresses.deploy(alice), aliceAddress);
        assertEq(vm.getRecordedLogs().length, 0);
    }

    // ------------------------------------------------------------------ sweeps

    function test_SweepsNativeIntoTheVaultForTheAccount() public {
        _sendNative(aliceAddress, 3 ether);
        bytes32 rolled = keccak256(abi.encode(vault.depositHash(), 1, alice, NATIVE, 3 ether));
        vm.expectEmit(address(vault));
        emit IVault.Deposited(1, alice, NATIVE, 3 ether, aliceAddress, rolled);
        vm.expectEmit(address(addresses));
        emit IDepositAddresses.Swept(alice, NATIVE, 3 ether, 1);
        vm.prank(stranger);
        assertEq(addresses.sweep(alice, NATIVE), 1);
        assertEq(aliceAddress.balance, 0);
        assertEq(vault.flows(alice, NATIVE).deposited, 3 ether);
    }

    function test_SweepsTokenIntoTheVaultForTheAccount() public {
        usdc.mint(aliceAddress, 5e6);
        vm.expectEmit(address(addresses));
        emit IDepositAddresses.Swept(alice, address(usdc), 5e6, 1);
        vm.prank(stranger);
        assertEq(addresses.sweep(alice, address(usdc)), 1);
        assertEq(usdc.balanceOf(aliceAddress), 0);
        assertEq(usdc.allowance(aliceAddress, address(vault)), 0);
        assertEq(vault.flows(alice, address(usdc)).deposited, 5e6);
    }

    function testFuzz_SweepsAgainWhateverComesLater(uint96 first, uint96 second) public {
        first = uint96(bound(first, NATIVE_MINIMUM, type(uint96).max));
        second = uint96(bound(second, NATIVE_MINIMUM, type(uint96).max));
        _sendNative(aliceAddress, first);
        assertEq(addresses.sweep(alice, NATIVE), 1);
        _sendNative(aliceAddress, second);
        assertEq(addresses.sweep(alice, NATIVE), 2);
        assertEq(vault.flows(alice, NATIVE).deposited, uint256(first) + second);
    }

    function test_SweepsTokenThatAnswersNothing() public {
        NoReturnToken token = new NoReturnToken();
        token.mint(aliceAddress, 100);
        _list(address(token), 1);
        addresses.sweep(alice, address(token));
        assertEq(vault.flows(alice, address(token)).deposited, 100);
    }

    function test_CreditsWhatArrivesWhenTheTokenTakesAFee() public {
        FeeToken token = new FeeToken();
        token.mint(aliceAddress, 10_000);
        _list(address(token), 1);
        vm.expectEmit(address(addresses));
        emit IDepositAddresses.Swept(alice, address(token), 10_000, 1);
        addresses.sweep(alice, address(token));
        assertEq(vault.flows(alice, address(token)).deposited, 9_900);
        assertEq(vault.accounted(address(token)), 9_900);
    }

    function test_SweepsExactlyTheMinimumAndNothingLess() public {
        _sendNative(aliceAddress, NATIVE_MINIMUM - 1);
        vm.expectRevert(
            abi.encodeWithSelector(
                IDepositAddresses.BelowMinimum.selector, alice, NATIVE, NATIVE_MINIMUM - 1, NATIVE_MINIMUM
            )
        );
        addresses.sweep(alice, NATIVE);
        assertEq(aliceAddress.code.length, 0);
        _sendNative(aliceAddress, 1);
        addresses.sweep(alice, NATIVE);
        assertEq(vault.flows(alice, NATIVE).deposited, NATIVE_MINIMUM);
    }

    function test_RejectsUnlistedToken() public {
        wbtc.mint(aliceAddress, 1e8);
        vm.expectRevert(abi.encodeWithSelector(IDepositAddresses.TokenNotListed.selector, address(wbtc)));
        addresses.sweep(alice, address(wbtc));
    }

    // ----------------------------------------------------------------- batches

    function test_BatchSweepsEachItem() public {
        address bobAddress = addresses.addressOf(bob);
        _sendNative(aliceAddress, 1 ether);
        usdc.mint(aliceAddress, 2e6);
        _sendNative(bobAddress, 3 ether);
        IDepositAddresses.Sweep[] memory sweeps = new IDepositAddresses.Sweep[](3);
        sweeps[0] = _item(alice, NATIVE);
        sweeps[1] = _item(bob, NATIVE);
        sweeps[2] = _item(alice, address(usdc));
        vm.prank(stranger);
        addresses.sweepBatch(sweeps);
        assertEq(vault.flows(alice, NATIVE).deposited, 1 ether);
        assertEq(vault.flows(bob, NATIVE).deposited, 3 ether);
        assertEq(vault.flows(alice, address(usdc)).deposited, 2e6);
        assertEq(vault.depositCount(), 3);
    }

    function test_BatchSkipsWhatCannotBeSweptAndGoesOn() public {
        _sendNative(aliceAddress, 1 ether);
        IDepositAddresses.Sweep[] memory sweeps = new IDepositAddresses.Sweep[](5);
        sweeps[0] = _item(bob, NATIVE); // nothing there
        sweeps[1] = _item(alice, address(wbtc)); // not listed
        sweeps[2] = _item(address(0), NATIVE); // nobody
        sweeps[3] = _item(alice, NATIVE);
        sweeps[4] = _item(alice, NATIVE); // already swept
        for (uint256 i = 0; i < 3; ++i) {
            vm.expectEmit(address(addresses));
            emit IDepositAddresses.SweepSkipped(sweeps[i].account, sweeps[i].token);
        }
        vm.expectEmit(address(addresses));
        emit IDepositAddresses.Swept(alice, NATIVE, 1 ether, 1);
        vm.expectEmit(address(addresses));
        emit IDepositAddresses.SweepSkipped(alice, NATIVE);
        addresses.sweepBatch(sweeps);
        assertEq(vault.depositCount(), 1);
        assertEq(addresses.addressOf(bob).code.length, 0);
    }

    // ---------------------------------------------------------------- balances

    function test_ListsBalancesAccountByAccount() public {
        _sendNative(aliceAddress, 1 ether);
        usdc.mint(aliceAddress, 2);
        usdc.mint(addresses.addressOf(bob), 3);
        address[] memory accounts = new address[](2);
        (accounts[0], accounts[1]) = (alice, bob);
        address[] memory tokens = new address[](3);
        (tokens[0], tokens[1], tokens[2]) = (NATIVE, address(usdc), address(wbtc));
        uint256[] memory atoms = addresses.balances(accounts, tokens);
        uint256[6] memory expected = [uint256(1 ether), 2, 0, 0, 3, 0];
        assertEq(atoms.length, 6);
        for (uint256 i = 0; i < 6; ++i) {
            assertEq(atoms[i], expected[i]);
        }
    }

    function test_RefusesToCountBalancesItHasNoGasToRead() public {
        usdc.mint(aliceAddress, 2);
        address[] memory accounts = new address[](1);
        accounts[0] = alice;
        address[] memory tokens = new address[](1);
        tokens[0] = address(usdc);
        vm.expectPartialRevert(BoundedTransfer.NotEnoughGas.selector);
        addresses.balances{gas: 150_000}(accounts, tokens);
    }

    // ---------------------------------------------------------------- listing

    function test_AnnouncesTheMinimum() public {
        vm.expectEmit(address(addresses));
        emit IDepositAddresses.MinimumSet(address(wbtc), 7);
        _list(address(wbtc), 7);
        assertEq(addresses.minimumOf(address(wbtc)), 7);
    }

    function testFuzz_RejectsListingByStrangers(address caller) public {
        vm.assume(caller != admin && caller != address(manager));
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, caller));
        vm.prank(caller);
        addresses.setMinimum(NATIVE, 0);
    }

    function test_TokenListedLaterIsSweptWithWhatCameBefore() public {
        PlainToken token = new PlainToken();
        token.mint(aliceAddress, 100);
        _list(address(token), 100);
        addresses.sweep(alice, address(token));
        assertEq(vault.flows(alice, address(token)).deposited, 100);
    }
}
