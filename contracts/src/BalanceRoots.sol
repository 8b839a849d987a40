// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title Where the exchange commits to what it owes.
/// @notice A list of roots of the tree of balances that can only grow. What was published stays as it was, so the
/// exchange cannot show different people different balances of one time.
contract BalanceRoots is AccessManaged {
    using SafeCast for uint256;

    /// @notice Holders publish; the authority must give this role `publish`.
    uint64 public constant PUBLISHER_ROLE = 4;

    /// @notice How many blocks a publication may lie behind. What is compared with an old block says little: the vault
    /// may have been full then.
    uint256 public immutable maxAgeBlocks;

    struct Entry {
        bytes32 root;
        uint64 seq;
        uint64 blockNumber;
        uint64 publishedAt;
    }

    Entry[] private _entries;

    /// @notice A root was published.
    /// @param index Its place in the list: 0, 1, 2, ...
    /// @param seq Number of the journal's command after which the balances were these.
    /// @param blockNumber Block of this chain at which the vault was compared with them.
    event RootPublished(uint256 indexed index, bytes32 root, uint64 seq, uint64 blockNumber);

    /// @notice A root must not be zero.
    error RootMissing();
    /// @notice Balances are published in the journal's order, each state of it once.
    error SeqNotIncreasing(uint64 seq, uint64 latest);
    /// @notice The vault cannot have been looked at in a block that is not there yet.
    error BlockInFuture(uint64 blockNumber, uint256 current);
    /// @notice The vault was looked at too long ago: `oldest` is the oldest block that can be published now.
    error BlockTooOld(uint64 blockNumber, uint256 oldest);
    /// @notice The vault was already looked at in a later block.
    error BlockDecreasing(uint64 blockNumber, uint64 latest);
    /// @notice The list is not that long.
    error NoSuchRoot(uint256 index);
    /// @notice With an age of no blocks nothing could be published: a transaction does not know its block beforehand.
    error MaxAgeMissing();

    /// @param authority The AccessManager that holds the roles.
    constructor(address authority, uint256 maxAgeBlocks_) AccessManaged(authority) {
        if (authority.code.length == 0) revert AccessManagedInvalidAuthority(authority);
        if (maxAgeBlocks_ == 0) revert MaxAgeMissing();
        maxAgeBlocks = maxAgeBlocks_;
    }

    /// @notice Adds a root to the list. Restricted.
    function publish(bytes32 root, uint64 seq, uint64 blockNumber) external restricted {
        if (root == 0) revert RootMissing();
        if (blockNumber > block.number) revert BlockInFuture(blockNumber, block.number);
        if (block.number - blockNumber > maxAgeBlocks) revert BlockTooOld(blockNumber, block.number - maxAgeBlocks);
        uint256 index = _entries.length;
        if (index > 0) {
            Entry storage newest = _entries[index - 1];
            if (seq <= newest.seq) revert SeqNotIncreasing(seq, newest.seq);
            if (blockNumber < newest.blockNumber) revert BlockDecreasing(blockNumber, newest.blockNumber);
        }
        _entries.push(Entry(root, seq, blockNumber, block.timestamp.toUint64()));
        emit RootPublished(index, root, seq, blockNumber);
    }

    /// @notice How many roots there are.
    function count() external view returns (uint256) {
        return _entries.length;
    }

    /// @notice The newest root. Reverts with `NoSuchRoot(0)` when there is none.
    /// @return root Root of the tree of balances.
    /// @return seq Number of the journal's command after which the balances were these.
    /// @return blockNumber Block of this chain at which the vault was compared with them.
    /// @return publishedAt Block time of the publication, in seconds.
    function latest() external view returns (bytes32 root, uint64 seq, uint64 blockNumber, uint64 publishedAt) {
        uint256 length = _entries.length;
        return rootAt(length > 0 ? length - 1 : 0);
    }

    /// @notice The root at a place of the list, in the order of publication from 0. Reverts with `NoSuchRoot`.
    /// @return root Root of the tree of balances.
    /// @return seq Number of the journal's command after which the balances were these.
    /// @return blockNumber Block of this chain at which the vault was compared with them.
    /// @return publishedAt Block time of the publication, in seconds.
    function rootAt(uint256 index)
        public
        view
        returns (bytes32 root, uint64 seq, uint64 blockNumber, uint64 publishedAt)
    {
        if (index >= _entries.length) revert NoSuchRoot(index);
        Entry storage entry = _entries[index];
        return (entry.root, entry.seq, entry.blockNumber, entry.publishedAt);
    }
}
