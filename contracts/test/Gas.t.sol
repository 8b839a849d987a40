// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {DepositAddressesFixture} from "./DepositAddressesFixture.sol";
import {MoodyReceiver} from "./mocks/Receivers.sol";
import {BalanceRoots} from "contracts/src/BalanceRoots.sol";
import {IDepositAddresses} from "contracts/src/interfaces/IDepositAddresses.sol";
import {IVault} from "contracts/src/interfaces/IVault.sol";

/// @dev The gas of the main paths, as whole transactions. `make contracts-gas` compares them with the figures in
/// `.gas-snapshot`, `make contracts-gas-write` writes them anew.
contract GasTest is DepositAddressesFixture {
    BalanceRoots private roots;

    function setUp() public override {
        super.setUp();
        roots = new BalanceRoots(address(manager), 100_000);
        _depositNative(alice, 1_000 ether);
        _depositUsdc(alice, 1_000e6);
        vm.prank(admin);
        vault.setOutflowLimit(NATIVE, 1_000 ether, 1 days);
        vm.deal(destination, 1);
        _fundAndSweep(bob);
        _sendNative(addresses.addressOf(bob), 1 ether);
        usdc.mint(addresses.addressOf(bob), 5e6);
        _sendNative(aliceAddress, 1 ether);
        usdc.mint(aliceAddress, 5e6);
    }

    function test_GasOfDeposits() public {
        vm.deal(stranger, 2 ether);
        _depositNative(stranger, 1 ether);
        vm.snapshotGasLastCall("deposit native, the account's first");
        _depositNative(stranger, 1 ether);
        vm.snapshotGasLastCall("deposit native");
        _depositUsdc(alice, 1e6);
        vm.snapshotGasLastCall("deposit token");
    }

    function test_GasOfWithdrawals() public {
        _withdraw(_payments(1, NATIVE, destination));
        vm.snapshotGasLastCall("withdraw 1 native");
        _withdraw(_payments(1, address(usdc), destination));
        vm.snapshotGasLastCall("withdraw 1 token, to a new holder");
        _withdraw(_payments(10, NATIVE, destination));
        vm.snapshotGasLastCall("withdraw 10 native");
        _withdraw(_payments(50, NATIVE, destination));
        vm.snapshotGasLastCall("withdraw 50 native");
    }

    function test_GasOfClaims() public {
        _withdraw(_payments(1, NATIVE, address(new MoodyReceiver())));
        vm.snapshotGasLastCall("withdraw 1 native that becomes claimable");
        vm.prank(alice);
        vault.claim(NATIVE, stranger);
        vm.snapshotGasLastCall("claim native");
    }

    function test_GasOfSweeps() public {
        addresses.sweep(alice, NATIVE);
        vm.snapshotGasLastCall("sweep native, with deployment");
        addresses.sweep(bob, NATIVE);
        vm.snapshotGasLastCall("sweep native");
        addresses.sweep(bob, address(usdc));
        vm.snapshotGasLastCall("sweep token");
    }

    function test_GasOfABatchOfSweeps() public {
        IDepositAddresses.Sweep[] memory sweeps = new IDepositAddresses.Sweep[](4);
        sweeps[0] = _item(alice, NATIVE);
        sweeps[1] = _item(alice, address(usdc));
        sweeps[2] = _item(bob, NATIVE);
        sweeps[3] = _item(bob, address(usdc));
        addresses.sweepBatch(sweeps);
        vm.snapshotGasLastCall("sweep 4, with 1 deployment");
    }

    function test_GasOfRoots() public {
        vm.startPrank(admin);
        roots.publish("one", 1, 1);
        roots.publish("two", 2, 1);
        vm.snapshotGasLastCall("publish a root");
    }

    function _fundAndSweep(address account) private {
        _sendNative(addresses.addressOf(account), 1 ether);
        usdc.mint(addresses.addressOf(account), 5e6);
        addresses.sweep(account, NATIVE);
        addresses.sweep(account, address(usdc));
    }

    function _payments(uint256 count, address token, address to) private view returns (IVault.Payment[] memory batch) {
        batch = new IVault.Payment[](count);
        for (uint256 i = 0; i < count; ++i) {
            batch[i] = _payment(uint256(keccak256(abi.encode(count, token, i))), token, 1e6, to);
        }
    }
}
