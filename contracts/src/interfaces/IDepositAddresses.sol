// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title The public face of the personal deposit addresses.
/// @notice The native token is written `address(0)` everywhere. Amounts are atoms.
interface IDepositAddresses {
    /// @notice One account's holding of one token, to be swept.
    struct Sweep {
        address account;
        address token;
    }

    /// @notice What lay at the account's deposit address went into the vault.
    /// @param amount Atoms that left the deposit address. What the account got for them is in the vault's `Deposited`
    /// of the same number; less, if the token takes a fee.
    /// @param number The vault's number of the deposit.
    event Swept(address indexed account, address indexed token, uint256 amount, uint256 indexed number);

    /// @notice An item of a batch could not be swept; what lies there stays there.
    event SweepSkipped(address indexed account, address indexed token);

    /// @notice The least worth sweeping of a token changed; 0 means that the token is not listed (any more).
    event MinimumSet(address indexed token, uint256 minimum);

    /// @notice The account's deposit address got its code.
    event ForwarderDeployed(address indexed account, address forwarder);

    /// @notice The vault must be a deployed contract.
    error InvalidVault(address vault);
    /// @notice Only listed tokens are swept. The account itself can take others out at its forwarder.
    error TokenNotListed(address token);
    /// @notice There is less than may be swept: than the token's minimum or, for the account itself, 1.
    error BelowMinimum(address account, address token, uint256 amount, uint256 minimum);

    /// @notice Lists a token with the least amount worth sweeping, or with 0 unlists it. Restricted.
    function setMinimum(address token, uint256 minimum) external;

    /// @notice Moves all of a listed token from the account's deposit address into the vault, as a deposit of that
    /// account. For anyone from the minimum up, for the account itself any amount.
    /// @return number The vault's number of the deposit.
    function sweep(address account, address token) external returns (uint256 number);

    /// @notice Sweeps each item that can be swept. The others are left out with `SweepSkipped`.
    function sweepBatch(Sweep[] calldata sweeps) external;

    /// @notice Gives the account's deposit address its code, if it has none: for an account that has only unlisted
    /// things to take out. For anyone.
    /// @return forwarder The deposit address.
    function deploy(address account) external returns (address forwarder);

    /// @notice The account's deposit address, the same before and after it has code.
    function addressOf(address account) external view returns (address forwarder);

    /// @notice Least amount of a token that anyone may sweep, 0 when it is not listed.
    function minimumOf(address token) external view returns (uint256);

    /// @notice What lies at the deposit addresses: all tokens of the first account, then all of the second, and so on.
    /// A token that does not answer counts as 0.
    function balances(address[] calldata accounts, address[] calldata tokens) external view returns (uint256[] memory);
}
