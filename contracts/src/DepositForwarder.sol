// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IDepositAddresses} from "./interfaces/IDepositAddresses.sol";
import {IVault} from "./interfaces/IVault.sol";
import {BoundedTransfer} from "./libraries/BoundedTransfer.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IERC721} from "@openzeppelin/contracts/token/ERC721/IERC721.sol";

/// @title One account's deposit address.
/// @notice Listed tokens can go from here into the vault for that account, and nowhere else, until the vault is frozen
/// for ever. Everything else is the account's to take out. It has no state and no owner but the account.
/// @dev Not a proxy, and with an empty `receive`, so that it accepts sends that come with 2,300 gas only.
contract DepositForwarder {
    using SafeERC20 for IERC20;

    /// @notice Who created this, and alone may order a sweep.
    IDepositAddresses public immutable factory;
    /// @notice Where listed tokens go.
    IVault public immutable vault;
    /// @notice Whose deposits they are.
    address public immutable account;

    /// @notice Sweeps are ordered at the factory.
    error OnlyFactory(address caller);
    /// @notice Only the account itself can take things out.
    error OnlyAccount(address caller);
    /// @notice A listed token can only be swept into the vault.
    error TokenListed(address token);

    constructor(IVault vault_, address account_) {
        factory = IDepositAddresses(msg.sender);
        vault = vault_;
        // slither-disable-next-line missing-zero-check
        account = account_;
    }

    /// @notice Accepts native funds.
    receive() external payable {}

    /// @notice Deposits `amount` of what lies here into the vault. For the factory alone, which checks the listing.
    /// @return number The vault's number of the deposit.
    function forward(address token, uint256 amount) external returns (uint256 number) {
        if (msg.sender != address(factory)) revert OnlyFactory(msg.sender);
        if (token == address(0)) return vault.depositNative{value: amount}(account);
        IERC20(token).forceApprove(address(vault), amount);
        return vault.deposit(account, token, amount);
    }

    /// @notice Takes an unlisted ERC-20 or, while that is unlisted, the native token out. For the account alone.
    function withdraw(address token, uint256 amount, address destination) external {
        _requireFreeToTake(token, destination);
        if (!BoundedTransfer.trySendWithAllGas(token, destination, amount)) {
            revert IVault.TransferFailed(token, destination, amount);
        }
    }

    /// @notice Takes an ERC-721 token out. For the account alone.
    function withdrawNft(address token, uint256 tokenId, address destination) external {
        _requireFreeToTake(token, destination);
        IERC721(token).transferFrom(address(this), destination, tokenId);
    }

    /// @dev The listing counts for ERC-721 too: their `transferFrom` is also that of ERC-20, and some ERC-20 need no
    /// allowance for the holder's own.
    function _requireFreeToTake(address token, address destination) private view {
        if (msg.sender != account) revert OnlyAccount(msg.sender);
        if (destination == address(0) || destination == address(this)) revert IVault.InvalidDestination(destination);
        if (factory.minimumOf(token) != 0 && !vault.frozen()) revert TokenListed(token);
    }
}
