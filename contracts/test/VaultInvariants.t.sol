// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {VaultHandler} from "./VaultHandler.sol";
import {Test} from "forge-std/Test.sol";

/// @dev What must hold after any sequence of actions.
contract VaultInvariantsTest is Test {
    VaultHandler private handler;

    function setUp() public {
        handler = new VaultHandler();
        handler.setUp();
        bytes4[] memory actions = new bytes4[](11);
        actions[0] = VaultHandler.deposit.selector;
        actions[1] = VaultHandler.deposit.selector; // twice as likely
        actions[2] = VaultHandler.withdraw.selector;
        actions[3] = VaultHandler.claim.selector;
        actions[4] = VaultHandler.exit.selector;
        actions[5] = VaultHandler.forceFundsIn.selector;
        actions[6] = VaultHandler.setOutflowLimit.selector;
        actions[7] = VaultHandler.pauseOrUnpause.selector;
        actions[8] = VaultHandler.pass.selector;
        actions[9] = VaultHandler.changeMoods.selector;
        actions[10] = VaultHandler.withdraw.selector; // this one too
        targetContract(address(handler));
        targetSelector(FuzzSelector({addr: address(handler), selectors: actions}));
    }

    function invariant_OwesNoMoreThanItHolds() public view {
        handler.checkOwesNoMoreThanItHolds();
    }

    function invariant_TotalsAreTheSumsOverAccounts() public view {
        handler.checkTotalsAreTheSumsOverAccounts();
    }

    function invariant_DepositsCanBeRecomputed() public view {
        handler.checkDepositsCanBeRecomputed();
    }

    function invariant_IdsRunAtMostOnce() public view {
        handler.checkIdsRanAtMostOnce();
    }
}
