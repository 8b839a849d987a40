// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {VaultFixture} from "./VaultFixture.sol";
import {ScriptedModule} from "./mocks/SettlementModules.sol";
import {DepositAddresses} from "contracts/src/DepositAddresses.sol";
import {DepositForwarder} from "contracts/src/DepositForwarder.sol";
import {IDepositAddresses} from "contracts/src/interfaces/IDepositAddresses.sol";

/// @dev Deposit addresses over the fixture's vault; the native token and USDC are listed.
abstract contract DepositAddressesFixture is VaultFixture {
    uint256 internal constant NATIVE_MINIMUM = 0.01 ether;
    uint256 internal constant USDC_MINIMUM = 1e6;

    DepositAddresses internal addresses;
    address internal aliceAddress;

    function setUp() public virtual override {
        super.setUp();
        addresses = new DepositAddresses(address(manager), vault);
        aliceAddress = addresses.addressOf(alice);
        _list(NATIVE, NATIVE_MINIMUM);
        _list(address(usdc), USDC_MINIMUM);
    }

    function _list(address token, uint256 minimum) internal {
        vm.prank(admin);
        addresses.setMinimum(token, minimum);
    }

    /// @dev A send as any wallet does it.
    function _sendNative(address to, uint256 amount) internal {
        vm.deal(stranger, amount);
        vm.prank(stranger);
        (bool ok,) = to.call{value: amount}("");
        assertTrue(ok, "accepted");
    }

    function _forwarder(address account) internal returns (DepositForwarder) {
        return DepositForwarder(payable(addresses.deploy(account)));
    }

    function _item(address account, address token) internal pure returns (IDepositAddresses.Sweep memory) {
        return IDepositAddresses.Sweep(account, token);
    }

    function _freezeVault() internal {
        ScriptedModule module = new ScriptedModule();
        vm.startPrank(admin);
        vault.proposeSettlementModule(address(module));
        skip(vault.SETTLEMENT_NOTICE_SECONDS());
        vault.activateSettlementModule();
        vm.stopPrank();
        module.freeze(vault);
    }
}
