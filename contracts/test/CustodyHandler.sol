// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {VaultHandler} from "./VaultHandler.sol";
import {PlainToken} from "./mocks/OddTokens.sol";
import {BalanceRoots} from "contracts/src/BalanceRoots.sol";
import {DepositAddresses} from "contracts/src/DepositAddresses.sol";
import {DepositForwarder} from "contracts/src/DepositForwarder.sol";
import {IDepositAddresses} from "contracts/src/interfaces/IDepositAddresses.sol";

/// @dev Drives deposit addresses and balance roots beside the vault. It says of each sweep beforehand whether it must
/// succeed, and keeps account of what came to each address and how it left.
contract CustodyHandler is VaultHandler {
    struct Published {
        bytes32 root;
        uint64 seq;
        uint64 blockNumber;
        uint64 publishedAt;
    }

    uint256 private constant MAX_ROOT_AGE_BLOCKS = 10;

    DepositAddresses private addresses;
    BalanceRoots private roots;
    Published[] private _published;
    mapping(address account => mapping(address token => uint256)) private _arrived;
    mapping(address account => mapping(address token => uint256)) private _swept;
    mapping(address account => mapping(address token => uint256)) private _takenOut;

    function setUp() public override {
        super.setUp();
        addresses = new DepositAddresses(address(manager), vault);
        roots = new BalanceRoots(address(manager), MAX_ROOT_AGE_BLOCKS);
        _tokens.push(address(new PlainToken()));
        bytes4[] memory publishing = new bytes4[](1);
        publishing[0] = BalanceRoots.publish.selector;
        uint64 role = roots.PUBLISHER_ROLE();
        vm.startPrank(admin);
        manager.setTargetFunctionRole(address(roots), publishing, role);
        manager.grantRole(role, sender, 0);
        for (uint256 t = 0; t + 1 < _tokens.length; ++t) {
            addresses.setMinimum(_tokens[t], 1e18);
        }
        vm.stopPrank();
        for (uint256 i = 0; i < _accounts.length; ++i) {
            PlainToken(_tokens[_tokens.length - 1]).mint(_accounts[i], 1e30);
            vm.prank(_accounts[i]);
            PlainToken(_tokens[_tokens.length - 1]).approve(address(vault), type(uint256).max);
        }
    }

    // ----------------------------------------------------------------- actions

    function arrive(uint256 who, uint256 which, uint256 amount) external {
        address account = _account(who);
        address token = _token(which);
        address to = addresses.addressOf(account);
        amount = bound(amount, 0, 3e18);
        if (token == NATIVE) vm.deal(to, to.balance + amount);
        else PlainToken(token).mint(to, amount);
        _arrived[account][token] += amount;
    }

    function sweep(uint256 who, uint256 which, bool byTheAccount) external {
        address account = _account(who);
        address token = _token(which);
        uint256 amount = _holds(token, addresses.addressOf(account));
        bool expected = _canSweep(account, token, byTheAccount);
        uint256 before = _holds(token, address(vault));
        vm.prank(byTheAccount ? account : stranger);
        try addresses.sweep(account, token) returns (uint256 number) {
            assertTrue(expected, "swept what must stay");
            assertEq(number, vault.depositCount(), "number");
            _recordSweep(account, token, amount, _holds(token, address(vault)) - before);
        } catch {
            assertFalse(expected, "did not sweep what it must");
        }
    }

    /// @dev Up to four items; the same one may come twice.
    function sweepBatch(uint256 seed) external {
        IDepositAddresses.Sweep[] memory sweeps = new IDepositAddresses.Sweep[](1 + seed % 4);
        uint256[] memory received = new uint256[](sweeps.length);
        uint256 expected = 0;
        for (uint256 i = 0; i < sweeps.length; ++i) {
            seed = uint256(keccak256(abi.encode(seed, i)));
            sweeps[i] = IDepositAddresses.Sweep(_account(seed), _token(seed >> 128));
            if (_repeats(sweeps, i) || !_canSweep(sweeps[i].account, sweeps[i].token, false)) continue;
            ++expected;
            received[i] = _holds(sweeps[i].token, addresses.addressOf(sweeps[i].account));
        }
        uint256[] memory deposited = _depositedBy(sweeps);
        uint256 countBefore = vault.depositCount();
        vm.prank(stranger);
        addresses.sweepBatch(sweeps);
        assertEq(vault.depositCount(), countBefore + expected, "sweeps of a batch");
        uint256[] memory depositedAfter = _depositedBy(sweeps);
        for (uint256 i = 0; i < sweeps.length; ++i) {
            if (received[i] == 0) continue;
            _recordSweep(sweeps[i].account, sweeps[i].token, received[i], depositedAfter[i] - deposited[i]);
        }
    }

    function takeOut(uint256 who, uint256 which, uint256 amount) external {
        address account = _account(who);
        address token = _token(which);
        DepositForwarder forwarder = DepositForwarder(payable(addresses.deploy(account)));
        amount = bound(amount, 0, _holds(token, address(forwarder)));
        bool expected = addresses.minimumOf(token) == 0 || vault.frozen();
        vm.prank(account);
        try forwarder.withdraw(token, amount, stranger) {
            assertTrue(expected, "took out what is listed");
            _takenOut[account][token] += amount;
        } catch {
            assertFalse(expected, "could not take out what is not listed");
        }
    }

    function setMinimum(uint256 which, uint256 minimum) external {
        vm.prank(admin);
        addresses.setMinimum(_token(which), minimum % 3 == 0 ? 0 : bound(minimum, 1, 2e18));
    }

    function publish(bytes32 root, uint64 seq, uint64 blockNumber) external {
        Published memory newest = _published.length == 0 ? Published(0, 0, 0, 0) : _published[_published.length - 1];
        seq = uint64(bound(seq, newest.seq, newest.seq + 3));
        uint256 oldest = block.number > MAX_ROOT_AGE_BLOCKS ? block.number - MAX_ROOT_AGE_BLOCKS : 0;
        blockNumber = uint64(bound(blockNumber, oldest > 0 ? oldest - 1 : 0, block.number + 1));
        bool first = _published.length == 0;
        bool expected = root != 0 && blockNumber <= block.number && blockNumber >= oldest
            && (first || (seq > newest.seq && blockNumber >= newest.blockNumber));
        vm.prank(sender);
        try roots.publish(root, seq, blockNumber) {
            assertTrue(expected, "published what is out of order or too old");
            _published.push(Published(root, seq, blockNumber, uint64(block.timestamp)));
        } catch {
            assertFalse(expected, "did not publish");
        }
        vm.roll(block.number + 1);
    }

    // ----------------------------------------------------------------- the checks

    function checkDepositAddressesKeepWhatCameUntilItLeft() external view {
        for (uint256 i = 0; i < _accounts.length; ++i) {
            address forwarder = addresses.addressOf(_accounts[i]);
            for (uint256 t = 0; t < _tokens.length; ++t) {
                uint256 left = _swept[_accounts[i]][_tokens[t]] + _takenOut[_accounts[i]][_tokens[t]];
                uint256 held = _holds(_tokens[t], forwarder);
                assertEq(held, _arrived[_accounts[i]][_tokens[t]] - left, "deposit address");
                if (_tokens[t] == NATIVE) continue;
                assertEq(PlainToken(_tokens[t]).allowance(forwarder, address(vault)), 0, "allowance");
            }
        }
    }

    function checkBalancesAreWhatLiesThere() external view {
        uint256[] memory atoms = addresses.balances(_accounts, _tokens);
        for (uint256 i = 0; i < _accounts.length; ++i) {
            address forwarder = addresses.addressOf(_accounts[i]);
            for (uint256 t = 0; t < _tokens.length; ++t) {
                assertEq(atoms[i * _tokens.length + t], _holds(_tokens[t], forwarder), "listed balance");
            }
        }
    }

    function checkRootsStayAsPublished() external view {
        assertEq(roots.count(), _published.length, "roots");
        for (uint256 i = 0; i < _published.length; ++i) {
            (bytes32 root, uint64 seq, uint64 blockNumber, uint64 publishedAt) = roots.rootAt(i);
            assertEq(root, _published[i].root, "root");
            assertEq(seq, _published[i].seq, "seq");
            assertEq(blockNumber, _published[i].blockNumber, "block");
            assertEq(publishedAt, _published[i].publishedAt, "time");
        }
    }

    // ----------------------------------------------------------------- private

    function _canSweep(address account, address token, bool byTheAccount) private view returns (bool) {
        uint256 minimum = addresses.minimumOf(token);
        uint256 amount = _holds(token, addresses.addressOf(account));
        return _isOpen() && minimum > 0 && amount > 0 && (amount >= minimum || byTheAccount);
    }

    function _recordSweep(address account, address token, uint256 amount, uint256 received) private {
        _swept[account][token] += amount;
        _recordDeposit(account, token, received);
    }

    function _depositedBy(IDepositAddresses.Sweep[] memory sweeps) private view returns (uint256[] memory atoms) {
        atoms = new uint256[](sweeps.length);
        for (uint256 i = 0; i < sweeps.length; ++i) {
            atoms[i] = vault.flows(sweeps[i].account, sweeps[i].token).deposited;
        }
    }

    function _repeats(IDepositAddresses.Sweep[] memory sweeps, uint256 index) private pure returns (bool) {
        for (uint256 i = 0; i < index; ++i) {
            if (sweeps[i].account == sweeps[index].account && sweeps[i].token == sweeps[index].token) return true;
        }
        return false;
    }
}
