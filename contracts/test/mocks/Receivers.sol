// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Vault} from "contracts/src/Vault.sol";

/// @dev A contract account that takes native funds only when it feels like it.
contract MoodyReceiver {
    bool public accepts;

    error NotNow();

    function setAccepts(bool accepts_) external {
        accepts = accepts_;
    }

    function claim(Vault vault, address token, address destination) external returns (uint256) {
        return vault.claim(token, destination);
    }

    receive() external payable {
        if (!accepts) revert NotNow();
    }
}

/// @dev Burns every bit of gas it is given.
contract GasBurner {
    receive() external payable {
        while (true) {}
    }
}

/// @dev Reverts with 100 kB of data.
contract LongReverter {
    receive() external payable {
        assembly {
            revert(0, 100000)
        }
    }
}

/// @dev Needs about 45,000 gas to accept: within the stipend, but not by much.
contract HeavyReceiver {
    uint256 private _next;
    mapping(uint256 => uint256) private _slots;

    receive() external payable {
        _slots[_next++] = 1;
    }
}

/// @dev Calls back into the vault when it is paid, and remembers whether the vault let it.
contract ReentrantReceiver {
    Vault private immutable _vault;
    bytes private _callback;
    uint256 private _value;
    bool private _insist;
    bool public called;
    bool public succeeded;

    error CallbackFailed();

    constructor(Vault vault) {
        _vault = vault;
    }

    /// @param insist Whether to refuse the payment when the callback fails.
    function setCallback(bytes calldata callback, bool insist) external {
        _callback = callback;
        _insist = insist;
    }

    /// @param value Native atoms to send along with the callback.
    function setValue(uint256 value) external {
        _value = value;
    }

    function claim(address token, address destination) external returns (uint256) {
        return _vault.claim(token, destination);
    }

    receive() external payable {
        if (_callback.length == 0) return;
        (bool ok,) = address(_vault).call{value: _value}(_callback);
        if (_insist && !ok) revert CallbackFailed();
        called = true;
        succeeded = ok;
    }
}
