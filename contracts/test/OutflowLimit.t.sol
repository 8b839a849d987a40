// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {VaultFixture} from "./VaultFixture.sol";
import {MoodyReceiver} from "./mocks/Receivers.sol";
import {IVault} from "contracts/src/interfaces/IVault.sol";
import {OutflowLimit} from "contracts/src/libraries/OutflowLimit.sol";

contract OutflowLimitTest is VaultFixture {
    uint64 private constant DAY = 1 days;
    uint256 private nextId = 1;

    function setUp() public override {
        super.setUp();
        _depositNative(alice, 1_000 ether);
        _limit(10 ether, DAY);
    }

    function test_PaysUpToTheLimitAndSkipsBeyond() public {
        _pays(10 ether);
        _skips(1);
    }

    function test_SkipsAnItemLargerThanTheLimit() public {
        _skips(10 ether + 1);
        _pays(10 ether);
    }

    function test_SkippedItemLeavesRoomForASmallerOne() public {
        _pays(8 ether);
        _skips(3 ether);
        _pays(2 ether);
    }

    function test_LimitsEachTokenOnItsOwn() public {
        _depositUsdc(alice, 50e6);
        _pays(10 ether);
        _withdraw(_payment(1_000, address(usdc), 50e6));
        assertEq(usdc.balanceOf(destination), 50e6);
    }

    function test_RefillsEvenlyOverTheWindow() public {
        _pays(10 ether);
        skip(DAY / 4);
        assertEq(_inUse(), 7.5 ether);
        _skips(2.5 ether + 1);
        _pays(2.5 ether);
        skip(DAY);
        assertEq(_inUse(), 0);
        _pays(10 ether);
    }

    function test_DepositsReplenish() public {
        _pays(10 ether);
        _depositNative(bob, 4 ether);
        assertEq(_inUse(), 6 ether);
        _skips(4 ether + 1);
        _pays(4 ether);
    }

    function test_DepositsDoNotSaveUpRoom() public {
        _depositNative(bob, 500 ether);
        _skips(10 ether + 1);
        _pays(10 ether);
        _skips(1);
    }

    function test_TinyDepositsCannotHoldTheRefillStill() public {
        _limit(100, DAY);
        _pays(100);
        for (uint256 i = 0; i < 864; ++i) {
            skip(100);
            vm.prank(bob);
            vault.depositNative{value: 1}(bob);
        }
        assertEq(_inUse(), 0);
    }

    /// @dev Each deposit gives back what its payment took, so going round keeps nobody else from being paid.
    function test_CyclingTheSameFundsDoesNotUseUpTheLimit() public {
        for (uint256 i = 0; i < 20; ++i) {
            _pays(10 ether);
            _depositNative(bob, 10 ether);
        }
        assertEq(_inUse(), 0);
        _pays(10 ether);
    }

    /// @dev However often the same funds went round before, what is left in use is that of one payment.
    function test_CyclingBeforehandUsesUpNoMoreThanOnePayment() public {
        for (uint256 i = 0; i < 20; ++i) {
            _depositNative(bob, 4 ether);
            _pays(4 ether);
        }
        assertEq(_inUse(), 4 ether);
        _pays(6 ether);
        skip(DAY);
        _pays(10 ether);
    }

    /// @dev With every key, a thief takes no more of the others' funds out for going round with its own.
    function testFuzz_CyclingMakesNoRoomForATheft(uint256 seed) public {
        uint256 before = vault.accounted(NATIVE);
        for (uint256 i = 0; i < 16; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            if (seed % 2 == 0) _depositNative(bob, bound(seed >> 8, 1, 20 ether));
            else _withdraw(_payment(nextId++, NATIVE, bound(seed >> 8, 1, 10 ether)));
        }
        assertGe(vault.accounted(NATIVE) + 10 ether, before);
    }

    function test_FailedTransferConsumesTheLimit() public {
        _withdraw(_payment(nextId++, NATIVE, 10 ether, address(new MoodyReceiver())));
        assertEq(vault.claimable(alice, NATIVE), 10 ether);
        _skips(1);
    }

    function test_ClaimsAreNotLimited() public {
        _limit(0, 0);
        _withdraw(_payment(nextId++, NATIVE, 500 ether, address(new MoodyReceiver())));
        _limit(1, DAY);
        vm.prank(alice);
        assertEq(vault.claim(NATIVE, alice), 500 ether);
    }

    function test_ZeroRemovesTheLimit() public {
        _pays(10 ether);
        _limit(0, 0);
        _pays(900 ether);
        _limit(10 ether, DAY);
        assertEq(_inUse(), 0);
    }

    function test_ChangingTheLimitKeepsWhatIsInUse() public {
        _pays(10 ether);
        _limit(12 ether, 7 * DAY);
        assertEq(_inUse(), 10 ether);
        _skips(2 ether + 1);
        _pays(2 ether);
        _limit(5 ether, DAY);
        assertEq(_inUse(), 12 ether);
        _skips(1);
        skip(2 * DAY);
        _skips(3 ether + 1);
        _pays(3 ether);
    }

    function test_RejectsLimitWithoutWindow() public {
        vm.expectRevert(OutflowLimit.OutflowWindowMissing.selector);
        _limit(1, 0);
    }

    function test_RejectsLimitOver128Bits() public {
        uint256 tooMuch = uint256(type(uint128).max) + 1;
        vm.expectRevert(abi.encodeWithSelector(OutflowLimit.OutflowLimitTooLarge.selector, tooMuch));
        _limit(tooMuch, DAY);
    }

    function test_AnnouncesTheLimit() public {
        vm.expectEmit(address(vault));
        emit IVault.OutflowLimitSet(NATIVE, 7, DAY);
        _limit(7, DAY);
        (uint256 limit, uint64 windowSeconds,) = vault.outflow(NATIVE);
        assertEq(limit, 7);
        assertEq(windowSeconds, DAY);
    }

    function test_WorksAtItsLargestValues() public {
        vm.deal(bob, type(uint128).max);
        _depositNative(bob, type(uint128).max - 1_000 ether);
        _limit(type(uint128).max, type(uint64).max);
        _pays(type(uint128).max);
        assertEq(_inUse(), type(uint128).max);
        _limit(type(uint128).max, 1);
        assertEq(_inUse(), type(uint128).max);
        skip(1);
        assertEq(_inUse(), 0);
    }

    /// @dev Whatever the rhythm of payments, a window never sees more than twice the limit leave.
    function testFuzz_NeverLetsMoreThanTwiceTheLimitLeaveInAWindow(uint256 seed) public {
        uint256 paidBefore = destination.balance;
        uint256 end = block.timestamp + DAY;
        for (uint256 i = 0; i < 24; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            _withdraw(_payment(nextId++, NATIVE, bound(seed, 1, 10 ether)));
            uint256 next = block.timestamp + (seed >> 128) % 2 hours;
            if (next >= end) break;
            vm.warp(next);
        }
        assertLe(destination.balance - paidBefore, 20 ether);
    }

    function _limit(uint256 limit, uint64 windowSeconds) private {
        vm.prank(admin);
        vault.setOutflowLimit(NATIVE, limit, windowSeconds);
    }

    function _inUse() private view returns (uint256 inUse) {
        (,, inUse) = vault.outflow(NATIVE);
    }

    function _pays(uint256 amount) private {
        IVault.Payment memory payment = _payment(nextId++, NATIVE, amount);
        _expectPaid(payment);
        _withdraw(payment);
    }

    function _skips(uint256 amount) private {
        _assertSkips(_payment(nextId++, NATIVE, amount), IVault.SkipReason.OverLimit);
    }
}
