// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ITokenHook} from "./OddTokens.sol";

/// @dev A holder that makes one call of its choice when its tokens go or others come, and remembers how it went.
contract TokenHook is ITokenHook {
    struct Call {
        address target;
        bytes data;
    }

    Call private _onSend;
    Call private _onReceive;
    bool private _refuses;
    bool public called;
    bool public succeeded;

    error Refused();
    error ActFailed(bytes answer);

    function onSend(address target, bytes calldata data) external {
        _onSend = Call(target, data);
    }

    function onReceive(address target, bytes calldata data) external {
        _onReceive = Call(target, data);
    }

    function refuse(bool refuses) external {
        _refuses = refuses;
    }

    function act(address target, bytes calldata data) external {
        (bool ok, bytes memory answer) = target.call(data);
        if (!ok) revert ActFailed(answer);
    }

    function tokensToSend() external {
        _run(_onSend);
    }

    function tokensReceived() external {
        if (_refuses) revert Refused();
        _run(_onReceive);
    }

    function _run(Call storage planned) private {
        if (planned.target == address(0)) return;
        Call memory once = planned;
        planned.target = address(0);
        called = true;
        (succeeded,) = once.target.call(once.data);
    }
}
