// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";
import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import {BalanceRoots} from "contracts/src/BalanceRoots.sol";
import {Test} from "forge-std/Test.sol";

contract BalanceRootsTest is Test {
    uint256 private constant MAX_AGE_BLOCKS = 1_000;

    AccessManager private manager;
    BalanceRoots private roots;
    address private publisher = makeAddr("publisher");
    address private admin = makeAddr("admin");

    function setUp() public {
        vm.warp(1_800_000_000);
        vm.roll(1_000);
        manager = new AccessManager(admin);
        roots = new BalanceRoots(address(manager), MAX_AGE_BLOCKS);
        bytes4[] memory publishing = new bytes4[](1);
        publishing[0] = BalanceRoots.publish.selector;
        vm.startPrank(admin);
        manager.setTargetFunctionRole(address(roots), publishing, roots.PUBLISHER_ROLE());
        manager.grantRole(roots.PUBLISHER_ROLE(), publisher, 0);
        vm.stopPrank();
    }

    function test_PublisherHasItsPublishedNumber() public view {
        assertEq(roots.PUBLISHER_ROLE(), 4);
        assertEq(roots.authority(), address(manager));
    }

    function test_RejectsAuthorityWithoutCode() public {
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedInvalidAuthority.selector, admin));
        new BalanceRoots(admin, MAX_AGE_BLOCKS);
    }

    function test_RejectsAnAgeWithWhichNothingCouldBePublished() public {
        vm.expectRevert(BalanceRoots.MaxAgeMissing.selector);
        new BalanceRoots(address(manager), 0);
        assertEq(new BalanceRoots(address(manager), 1).maxAgeBlocks(), 1);
    }

    function test_KeepsEveryRootInTheOrderOfPublication() public {
        vm.expectEmit(address(roots));
        emit BalanceRoots.RootPublished(0, "one", 10, 900);
        _publish("one", 10, 900);
        skip(1 days);
        vm.expectEmit(address(roots));
        emit BalanceRoots.RootPublished(1, "two", 11, 900);
        _publish("two", 11, 900);
        assertEq(roots.count(), 2);
        _assertRoot(0, "one", 10, 900, 1_800_000_000);
        _assertRoot(1, "two", 11, 900, 1_800_000_000 + 1 days);
        (bytes32 root, uint64 seq, uint64 blockNumber, uint64 publishedAt) = roots.latest();
        assertEq(root, "two");
        assertEq(seq, 11);
        assertEq(blockNumber, 900);
        assertEq(publishedAt, 1_800_000_000 + 1 days);
    }

    function test_HasNoRootsBeforeTheFirst() public {
        assertEq(roots.count(), 0);
        vm.expectRevert(abi.encodeWithSelector(BalanceRoots.NoSuchRoot.selector, 0));
        roots.latest();
        _publish("one", 0, 0);
        vm.expectRevert(abi.encodeWithSelector(BalanceRoots.NoSuchRoot.selector, 1));
        roots.rootAt(1);
    }

    function testFuzz_RejectsPublishingByAnyoneElse(address caller) public {
        vm.assume(caller != publisher && caller != address(manager));
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, caller));
        vm.prank(caller);
        roots.publish("one", 1, 1);
    }

    function test_RejectsRootZero() public {
        vm.expectRevert(BalanceRoots.RootMissing.selector);
        _publish(0, 1, 1);
    }

    function testFuzz_RejectsSeqThatDoesNotIncrease(uint64 seq, uint64 later) public {
        seq = uint64(bound(seq, 0, type(uint64).max));
        later = uint64(bound(later, 0, seq));
        _publish("one", seq, 1);
        vm.expectRevert(abi.encodeWithSelector(BalanceRoots.SeqNotIncreasing.selector, later, seq));
        _publish("two", later, 1);
    }

    function test_RejectsBlockThatIsNotThereYet() public {
        vm.expectRevert(abi.encodeWithSelector(BalanceRoots.BlockInFuture.selector, 1_001, 1_000));
        _publish("one", 1, 1_001);
        _publish("one", 1, 1_000);
    }

    function test_RejectsBlockBeforeTheLast() public {
        _publish("one", 1, 900);
        vm.expectRevert(abi.encodeWithSelector(BalanceRoots.BlockDecreasing.selector, 899, 900));
        _publish("two", 2, 899);
    }

    function testFuzz_RejectsBlockThatIsTooOld(uint64 head, uint64 age) public {
        head = uint64(bound(head, MAX_AGE_BLOCKS + 1, type(uint64).max));
        age = uint64(bound(age, MAX_AGE_BLOCKS + 1, head));
        vm.roll(head);
        uint256 oldest = head - MAX_AGE_BLOCKS;
        vm.expectRevert(abi.encodeWithSelector(BalanceRoots.BlockTooOld.selector, head - age, oldest));
        _publish("one", 1, head - age);
        _publish("one", 1, uint64(oldest));
        assertEq(roots.count(), 1);
    }

    /// @dev Else a day on which the vault was full could stand for all days after it.
    function test_OneBlockCannotBePublishedForEver() public {
        _publish("one", 1, 1_000);
        vm.roll(1_000 + MAX_AGE_BLOCKS);
        _publish("two", 2, 1_000);
        vm.roll(1_001 + MAX_AGE_BLOCKS);
        vm.expectRevert(abi.encodeWithSelector(BalanceRoots.BlockTooOld.selector, 1_000, 1_001));
        _publish("three", 3, 1_000);
    }

    function _publish(bytes32 root, uint64 seq, uint64 blockNumber) private {
        vm.prank(publisher);
        roots.publish(root, seq, blockNumber);
    }

    function _assertRoot(uint256 index, bytes32 root, uint64 seq, uint64 blockNumber, uint64 publishedAt) private view {
        (bytes32 root_, uint64 seq_, uint64 blockNumber_, uint64 publishedAt_) = roots.rootAt(index);
        assertEq(root_, root);
        assertEq(seq_, seq);
        assertEq(blockNumber_, blockNumber);
        assertEq(publishedAt_, publishedAt);
    }
}
