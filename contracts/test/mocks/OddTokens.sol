// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

interface ITokenHook {
    function tokensToSend() external;
    function tokensReceived() external;
}

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

/// @dev Says no to a deposit, and moves nothing.
contract FalseToken is PlainToken {
    function transferFrom(address, address, uint256) public pure override returns (bool) {
        return false;
    }
}

/// @dev Refuses transfers from and to blocked addresses, by revert or by answering false.
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
        if (!blocked[to] && !blocked[msg.sender]) return super.transfer(to, amount);
        if (answersFalse) return false;
        revert Blocked(to);
    }

    function transferFrom(address from, address to, uint256 amount) public override returns (bool) {
        if (!blocked[to] && !blocked[from]) return super.transferFrom(from, to, amount);
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

/// @dev Tells whoever asked for it before their tokens go and after others come, in the way of ERC-777.
contract HookToken is PlainToken {
    mapping(address holder => ITokenHook) public hooks;

    function setHook(ITokenHook hook) external {
        hooks[msg.sender] = hook;
    }

    function _update(address from, address to, uint256 amount) internal override {
        if (address(hooks[from]) != address(0)) hooks[from].tokensToSend();
        super._update(from, to, amount);
        if (address(hooks[to]) != address(0)) hooks[to].tokensReceived();
    }
}

/// @dev Balances are shares of a pool that grows and shrinks.
contract RebasingToken {
    uint256 private constant SCALE = 1e18;

    uint256 private _atomsPerShare = SCALE;
    mapping(address holder => uint256) private _shares;
    mapping(address holder => mapping(address spender => uint256)) private _allowances;

    function mint(address to, uint256 amount) external {
        _shares[to] += amount * SCALE / _atomsPerShare;
    }

    /// @param percent What 100 atoms become.
    function rebase(uint256 percent) external {
        _atomsPerShare = _atomsPerShare * percent / 100;
    }

    function approve(address spender, uint256 amount) external returns (bool) {
        _allowances[msg.sender][spender] = amount;
        return true;
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        return _move(msg.sender, to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) external returns (bool) {
        _allowances[from][msg.sender] -= amount;
        return _move(from, to, amount);
    }

    function balanceOf(address holder) external view returns (uint256) {
        return _shares[holder] * _atomsPerShare / SCALE;
    }

    function _move(address from, address to, uint256 amount) private returns (bool) {
        uint256 shares = amount * SCALE / _atomsPerShare;
        _shares[from] -= shares;
        _shares[to] += shares;
        return true;
    }
}

/// @dev Answers every call it does not know with success, as old wrapped ether does.
contract PhantomToken is PlainToken {
    fallback() external {}
}

/// @dev Lets holders move their own tokens by `transferFrom` without an allowance, as old wrapped ether does.
contract SelfServiceToken is PlainToken {
    function transferFrom(address from, address to, uint256 amount) public override returns (bool) {
        if (from != msg.sender) return super.transferFrom(from, to, amount);
        _transfer(from, to, amount);
        return true;
    }
}

/// @dev Misbehaves in one of its functions only.
contract TreacherousToken is PlainToken {
    enum Mood {
        BurnGas,
        LongRevert,
        LongAnswer,
        NoAnswer
    }

    bytes4 private _where;
    Mood private _mood;

    function misbehave(bytes4 where, Mood mood) external {
        _where = where;
        _mood = mood;
    }

    function approve(address spender, uint256 amount) public override returns (bool) {
        _act();
        return super.approve(spender, amount);
    }

    function transferFrom(address from, address to, uint256 amount) public override returns (bool) {
        _act();
        return super.transferFrom(from, to, amount);
    }

    function balanceOf(address holder) public view override returns (uint256) {
        _act();
        return super.balanceOf(holder);
    }

    function _act() private view {
        if (msg.sig != _where) return;
        Mood mood = _mood;
        assembly {
            switch mood
            case 0 { for {} 1 {} {} }
            case 1 { revert(0, 100000) }
            case 2 { return(0, 100000) }
            default { return(0, 0) }
        }
    }
}

/// @dev Calls anything while it is being approved or moved, and remembers whether that went well.
contract ReentrantToken is PlainToken {
    address private _target;
    bytes private _callback;
    bool public called;
    bool public succeeded;

    function setCallback(address target, bytes calldata callback) external {
        _target = target;
        _callback = callback;
    }

    function _approve(address owner, address spender, uint256 amount, bool emitEvent) internal override {
        super._approve(owner, spender, amount, emitEvent);
        _callBack();
    }

    function _update(address from, address to, uint256 amount) internal override {
        super._update(from, to, amount);
        _callBack();
    }

    function _callBack() private {
        bytes memory callback = _callback;
        if (callback.length == 0) return;
        delete _callback; // once is enough
        called = true;
        (succeeded,) = _target.call(callback);
    }
}
