// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {CustodyHandler} from "./CustodyHandler.sol";
import {VaultHandler} from "./VaultHandler.sol";
import {Test} from "forge-std/Test.sol";

/// @dev What must hold after any sequence of actions on vault, deposit addresses and balance roots.
contract CustodyInvariantsTest is Test {
    CustodyHandler private handler;

    function setUp() public {
        handler = new CustodyHandler();
        handler.setUp();
        bytes4[] memory actions = new bytes4[](18);
        actions[0] = VaultHandler.deposit.selector;
        actions[1] = VaultHandler.withdraw.selector;
        actions[2] = VaultHandler.withdraw.selector; // twice as likely
        actions[3] = VaultHandler.claim.selector;
        actions[4] = VaultHandler.exit.selector;
        actions[5] = VaultHandler.forceFundsIn.selector;
        actions[6] = VaultHandler.setOutflowLimit.selector;
        actions[7] = VaultHandler.pauseOrUnpause.selector;
        actions[8] = VaultHandler.pass.selector;
        actions[9] = VaultHandler.changeMoods.selector;
        actions[10] = VaultHandler.freeze.selector;
        actions[11] = CustodyHandler.arrive.selector;
        actions[12] = CustodyHandler.arrive.selector; // this one too
        actions[13] = CustodyHandler.sweep.selector;
        actions[14] = CustodyHandler.sweepBatch.selector;
        actions[15] = CustodyHandler.takeOut.selector;
        actions[16] = CustodyHandler.setMinimum.selector;
        actions[17] = CustodyHandler.publish.selector;
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

    function invariant_DepositAddressesKeepWhatCameUntilItLeft() public view {
        handler.checkDepositAddressesKeepWhatCameUntilItLeft();
        handler.checkBalancesAreWhatLiesThere();
    }

    function invariant_RootsStayAsPublished() public view {
        handler.checkRootsStayAsPublished();
    }
}
