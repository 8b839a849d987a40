// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {VaultFixture} from "./VaultFixture.sol";
import {FeeToken, PickyToken} from "./mocks/OddTokens.sol";
import {MoodyReceiver} from "./mocks/Receivers.sol";
import {ScriptedModule} from "./mocks/SettlementModules.sol";
import {IVault} from "contracts/src/interfaces/IVault.sol";
import {Vm} from "forge-std/Vm.sol";

/// @dev Drives a vault at random and keeps its own, simpler account of what must be true.
contract VaultHandler is VaultFixture {
    struct Credit {
        address account;
        address token;
        uint256 amount;
    }

    PickyToken private picky;
    FeeToken private feeToken;
    MoodyReceiver private moody;
    ScriptedModule private module;

    address[] internal _accounts;
    address[] internal _tokens;
    Credit[] private _credits;
    bytes32[] private _ids;
    mapping(bytes32 id => uint256) public timesRun;
    mapping(address token => uint256) public donated;
    mapping(address token => uint256) public sentOut;
    mapping(address token => uint256) public broughtIn;

    function setUp() public virtual override {
        super.setUp();
        picky = new PickyToken();
        feeToken = new FeeToken();
        moody = new MoodyReceiver();
        module = new ScriptedModule();
        _tokens.push(NATIVE);
        _tokens.push(address(usdc));
        _tokens.push(address(picky));
        _tokens.push(address(feeToken));
        _accounts.push(alice);
        _accounts.push(bob);
        _accounts.push(makeAddr("carol"));
        picky.setBlocked(address(moody), true);
        for (uint256 i = 0; i < _accounts.length; ++i) {
            vm.deal(_accounts[i], 1e30);
            usdc.mint(_accounts[i], 1e30);
            picky.mint(_accounts[i], 1e30);
            feeToken.mint(_accounts[i], 1e30);
            for (uint256 t = 1; t < _tokens.length; ++t) {
                vm.prank(_accounts[i]);
                PickyToken(_tokens[t]).approve(address(vault), type(uint256).max);
            }
        }
        vm.startPrank(admin);
        vault.proposeSettlementModule(address(module));
        skip(vault.SETTLEMENT_NOTICE_SECONDS());
        vault.activateSettlementModule();
        vm.stopPrank();
    }

    // ----------------------------------------------------------------- actions

    function deposit(uint256 who, uint256 which, uint256 amount) external {
        if (!_isOpen()) return;
        address account = _account(who);
        address token = _token(which);
        amount = bound(amount, 1, 1e24);
        uint256 before = _holds(token, address(vault));
        vm.prank(_account(who / 7));
        if (token == NATIVE) vault.depositNative{value: amount}(account);
        else vault.deposit(account, token, amount);
        _recordDeposit(account, token, _holds(token, address(vault)) - before);
    }

    /// @dev A batch of up to four items: good ones and uncovered, expired, badly signed, repeated or refused ones.
    function withdraw(uint256 seed) external {
        if (!_isOpen()) return;
        IVault.Payment[] memory payments = new IVault.Payment[](1 + seed % 4);
        bytes[] memory signatures = new bytes[](payments.length);
        for (uint256 i = 0; i < payments.length; ++i) {
            seed = uint256(keccak256(abi.encode(seed, i)));
            payments[i] = _anyPayment(seed);
            signatures[i] = _sign(payments[i], seed % 13 == 0 ? aliceKey : signerKey);
        }
        vm.recordLogs();
        vm.prank(sender);
        vault.withdraw(payments, signatures);
        _countRuns(vm.getRecordedLogs());
    }

    function claim(uint256 who, uint256 which) external {
        address account = _account(who);
        address token = _token(which);
        uint256 amount = vault.claimable(account, token);
        if (amount == 0) return;
        vm.prank(account);
        assertEq(vault.claim(token, stranger), amount);
        sentOut[token] += amount;
    }

    function exit(uint256 who, uint256 which, uint256 amount) external {
        address token = _token(which);
        address account = _account(who);
        amount = bound(amount, 0, vault.accounted(token) / 4);
        module.exit(vault, account, token, amount);
        sentOut[token] += amount;
    }

    function forceFundsIn(uint256 which, uint256 amount) external {
        address token = _token(which);
        amount = bound(amount, 0, 1e24);
        if (token == NATIVE) vm.deal(address(vault), address(vault).balance + amount);
        else PickyToken(token).mint(address(vault), amount);
        donated[token] += amount;
    }

    function setOutflowLimit(uint256 which, uint256 limit, uint64 windowSeconds) external {
        vm.prank(admin);
        vault.setOutflowLimit(_token(which), bound(limit, 0, 1e24), uint64(bound(windowSeconds, 1, 30 days)));
    }

    /// @dev Pauses now and then, and ends most pauses early, so that the other actions get their turn.
    function pauseOrUnpause(uint256 seed) external {
        uint256 until = vault.pausedUntil();
        vm.startPrank(guardian);
        if (block.timestamp < until) vault.unpause();
        else if (seed % 4 == 0 && block.timestamp >= until + vault.PAUSE_COOL_DOWN_SECONDS()) vault.pause();
        vm.stopPrank();
    }

    function pass(uint256 time) external {
        skip(bound(time, 1, 2 days));
    }

    /// @dev For ever, so seldom.
    function freeze(uint256 seed) external {
        if (seed % 64 == 0 && !vault.frozen()) module.freeze(vault);
    }

    function changeMoods(bool accepts, bool answersFalse, uint256 answer) external {
        moody.setAccepts(accepts);
        picky.setAnswersFalse(answersFalse);
        module.setAnswer(answer % 5 == 0 ? ScriptedModule.Answer.No : ScriptedModule.Answer.Yes);
    }

    // ----------------------------------------------------------------- the checks

    function checkOwesNoMoreThanItHolds() external view {
        for (uint256 t = 0; t < _tokens.length; ++t) {
            uint256 owes = vault.accounted(_tokens[t]) + vault.claimableTotal(_tokens[t]);
            assertLe(owes, _holds(_tokens[t], address(vault)), "owes more than it holds");
            assertEq(owes + donated[_tokens[t]], _holds(_tokens[t], address(vault)), "surplus is what was forced in");
            assertEq(owes, broughtIn[_tokens[t]] - sentOut[_tokens[t]], "owes what came in and did not go out");
        }
    }

    function checkTotalsAreTheSumsOverAccounts() external view {
        for (uint256 t = 0; t < _tokens.length; ++t) {
            uint256 deposited;
            uint256 paid;
            uint256 claims;
            for (uint256 i = 0; i < _accounts.length; ++i) {
                IVault.Flows memory flow = vault.flows(_accounts[i], _tokens[t]);
                deposited += flow.deposited;
                paid += flow.paid;
                claims += vault.claimable(_accounts[i], _tokens[t]);
            }
            assertEq(deposited, broughtIn[_tokens[t]], "deposited");
            assertEq(deposited - paid, vault.accounted(_tokens[t]), "accounted");
            assertEq(claims, vault.claimableTotal(_tokens[t]), "claimable");
        }
    }

    function checkDepositsCanBeRecomputed() external view {
        bytes32 rolled = keccak256(abi.encode(block.chainid, address(vault)));
        for (uint256 n = 1; n <= _credits.length; ++n) {
            Credit storage credit = _credits[n - 1];
            rolled = keccak256(abi.encode(rolled, n, credit.account, credit.token, credit.amount));
            uint256 firstId = vault.flows(credit.account, credit.token).firstId;
            assertTrue(firstId > 0 && firstId <= n, "first id");
        }
        assertEq(vault.depositCount(), _credits.length, "count");
        assertEq(vault.depositHash(), rolled, "hash");
    }

    function checkIdsRanAtMostOnce() external view {
        for (uint256 i = 0; i < _ids.length; ++i) {
            assertEq(timesRun[_ids[i]], vault.used(_ids[i]) ? 1 : 0, "runs of an id");
        }
    }

    // ----------------------------------------------------------------- private

    function _anyPayment(uint256 seed) private returns (IVault.Payment memory payment) {
        address token = _token(seed >> 8);
        uint256 amount = seed % 11 == 0 ? 1e29 : (seed >> 16) % (vault.accounted(token) / 2 + 2);
        address to = seed % 3 == 0 ? address(moody) : destination;
        bool repeats = _ids.length > 0 && seed % 5 == 0;
        bytes32 id = repeats ? _ids[(seed >> 32) % _ids.length] : keccak256(abi.encode(seed, "id"));
        if (!repeats) _ids.push(id);
        payment = _payment(uint256(id), token, amount, to);
        payment.account = _account(seed >> 64);
        if (seed % 17 == 0) payment.deadline = block.timestamp - 1;
    }

    function _countRuns(Vm.Log[] memory logs) private {
        for (uint256 i = 0; i < logs.length; ++i) {
            bytes32 topic = logs[i].topics[0];
            if (logs[i].emitter != address(vault)) continue;
            if (topic != IVault.Paid.selector && topic != IVault.PaymentClaimable.selector) continue;
            ++timesRun[logs[i].topics[1]];
            if (topic != IVault.Paid.selector) continue;
            (uint256 amount,) = abi.decode(logs[i].data, (uint256, address));
            sentOut[address(uint160(uint256(logs[i].topics[3])))] += amount;
        }
    }

    function _recordDeposit(address account, address token, uint256 received) internal {
        broughtIn[token] += received;
        _credits.push(Credit(account, token, received));
    }

    function _isOpen() internal view returns (bool) {
        return block.timestamp >= vault.pausedUntil() && !vault.frozen();
    }

    function _account(uint256 seed) internal view returns (address) {
        return _accounts[seed % _accounts.length];
    }

    function _token(uint256 seed) internal view returns (address) {
        return _tokens[seed % _tokens.length];
    }

    function _holds(address token, address holder) internal view returns (uint256) {
        return token == NATIVE ? holder.balance : PickyToken(token).balanceOf(holder);
    }
}
