// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Vault} from "contracts/src/Vault.sol";
import {ISettlementModule} from "contracts/src/interfaces/ISettlementModule.sol";
import {IVault} from "contracts/src/interfaces/IVault.sol";

/// @dev Answers `mayPay` as told, and passes on what a real module would decide itself.
contract ScriptedModule is ISettlementModule {
    enum Answer {
        Yes,
        No,
        Revert,
        BurnGas,
        ShortAnswer,
        AnswerTwo,
        OnlyWithProof,
        HeavyYes
    }

    error Refused(bytes32 id);

    Answer public answer;
    Vault private _freezesWhenPaid;

    function setAnswer(Answer answer_) external {
        answer = answer_;
    }

    function setFreezesWhenPaid(Vault vault) external {
        _freezesWhenPaid = vault;
    }

    function freeze(Vault vault) external {
        vault.freeze();
    }

    function exit(Vault vault, address account, address token, uint256 amount) external {
        vault.exit(account, token, amount);
    }

    receive() external payable {
        _freezesWhenPaid.freeze();
    }

    function mayPay(IVault.Payment calldata payment) external view returns (bool) {
        if (answer == Answer.Yes) return true;
        if (answer == Answer.No) return false;
        if (answer == Answer.Revert) revert Refused(payment.id);
        if (answer == Answer.OnlyWithProof) return keccak256(payment.proof) == keccak256("proof");
        if (answer == Answer.HeavyYes) {
            uint256 enough = gasleft() - 800_000; // underflows, so reverts, when starved
            while (gasleft() > enough) {}
            return true;
        }
        if (answer == Answer.BurnGas) while (true) {}
        bool short = answer == Answer.ShortAnswer;
        assembly {
            mstore(0, 2)
            if short {
                mstore(0, 1)
                return(0, 31)
            }
            return(0, 32)
        }
    }
}
