// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {Vault} from "contracts/src/Vault.sol";

/// @dev A well-behaved token to derive the odd ones from.
contract PlainToken is ERC20("Plain", "PLAIN") {
    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }
}

/// @dev Keeps one percent of every transfer.
contract FeeToken is PlainToken {
    function _update(address from, address to, uint256 amount) internal override {
        uint256 fee = from == address(0) ? 0 : amount / 100;
        if (fee > 0) super._update(from, address(0xFEE), fee);
        super._update(from, to, amount - fee);
    }
}

/// @dev Says yes to a deposit and moves nothing.
contract EmptyHandedToken is PlainToken {
    function transferFrom(address, address, uint256) public pure override returns (bool) {
        return true;
    }
}

/// @dev Refuses transfers to blocked addresses, by revert or by answering false.
contract PickyToken is PlainToken {
    mapping(address => bool) public blocked;
    bool public answersFalse;

    error Blocked(address to);

    function setBlocked(address to, bool isBlocked) external {
        blocked[to] = isBlocked;
    }

    function setAnswersFalse(bool answers) external {
        answersFalse = answers;
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        if (!blocked[to]) return super.transfer(to, amount);
        if (answersFalse) return false;
        revert Blocked(to);
    }
}

/// @dev An old token: its functions answer nothing at all, and an allowance must be taken back before it can change.
contract NoReturnToken {
    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(address => uint256)) public allowance;

    error Short(address from, uint256 amount);
    error AllowanceInUse();

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    function approve(address spender, uint256 amount) external {
        if (amount != 0 && allowance[msg.sender][spender] != 0) revert AllowanceInUse();
        allowance[msg.sender][spender] = amount;
    }

    function transfer(address to, uint256 amount) external {
        _move(msg.sender, to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) external {
        if (allowance[from][msg.sender] < amount) revert Short(from, amount);
        allowance[from][msg.sender] -= amount;
        _move(from, to, amount);
    }

    function _move(address from, address to, uint256 amount) private {
        if (balanceOf[from] < amount) revert Short(from, amount);
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
    }
}

/// @dev Answers a transfer in one of several hostile ways, moving nothing.
contract HostileToken is PlainToken {
    enum Mood {
        BurnGas,
        LongRevert,
        LongAnswer,
        ShortAnswer,
        AnswerTwo
    }

    Mood public mood;

    function setMood(Mood mood_) external {
        mood = mood_;
    }

    function transfer(address, uint256) public view override returns (bool) {
        Mood now_ = mood;
        assembly {
            switch now_
            case 0 { for {} 1 {} {} }
            case 1 { revert(0, 100000) }
            case 2 { return(0, 100000) }
            case 3 {
                mstore(0, 1)
                return(0, 31)
            }
            default {
                mstore(0, 2)
                return(0, 32)
            }
        }
    }
}

/// @dev Uses as much gas as it is told to before a transfer succeeds.
contract HeavyToken is PlainToken {
    uint256 public slotsPerTransfer;
    uint256 private _next;
    mapping(uint256 => uint256) private _slots;

    function setSlotsPerTransfer(uint256 slots) external {
        slotsPerTransfer = slots;
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        for (uint256 i = 0; i < slotsPerTransfer; ++i) {
            _slots[_next++] = 1;
        }
        return super.transfer(to, amount);
    }
}

/// @dev Calls back into the vault while it is being moved, and remembers whether the vault let it.
contract ReentrantToken is PlainToken {
    Vault private immutable _vault;
    bytes private _callback;
    bool public called;
    bool public succeeded;

    constructor(Vault vault) {
        _vault = vault;
    }

    function setCallback(bytes calldata callback) external {
        _callback = callback;
    }

    function _update(address from, address to, uint256 amount) internal override {
        super._update(from, to, amount);
        if (_callback.length == 0) return;
        called = true;
        (succeeded,) = address(_vault).call(_callback);
    }
}
