// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title The vault's public face: types, events, errors and functions.
/// @notice The native token is written `address(0)` everywhere. Amounts are atoms and fit in 128 bits.
interface IVault {
    /// @notice One withdrawal, as the operator signs it.
    /// @param id Digest of the owner's own signed request; opaque here, used at most once for ever.
    /// @param account The account that is paid, and that may claim if the transfer fails.
    /// @param token ERC-20 address, or zero for the native token.
    /// @param amount Atoms to pay.
    /// @param destination Where the atoms go.
    /// @param deadline Last block time, in seconds, at which the payment may run.
    /// @param proof Only for the settlement module; not part of the operator's signature.
    struct Payment {
        bytes32 id;
        address account;
        address token;
        uint256 amount;
        address destination;
        uint256 deadline;
        bytes proof;
    }

    /// @notice Everything that ever moved between the vault and one account in one token.
    /// @param deposited Atoms credited.
    /// @param paid Atoms paid or made claimable.
    /// @param firstId Number of the first deposit of this account and token, 0 if there is none.
    struct Flows {
        uint128 deposited;
        uint128 paid;
        uint64 firstId;
    }

    /// @notice Why an item of a batch was left out, with its id unused. Append-only.
    enum SkipReason {
        None,
        BadSignature,
        Expired,
        AlreadyUsed,
        InsufficientBalance,
        OverLimit,
        NotAllowedByModule,
        ZeroAmount,
        AmountTooLarge,
        InvalidAccount,
        InvalidDestination
    }

    /// @notice A deposit was credited; `depositHash` is the rolling hash that includes it.
    /// @param sender Whose funds arrived: the caller, or the signer of an authorization.
    event Deposited(
        uint256 indexed number,
        address indexed account,
        address indexed token,
        uint256 amount,
        address sender,
        bytes32 depositHash
    );

    /// @notice A payment reached its destination.
    event Paid(bytes32 indexed id, address indexed account, address indexed token, uint256 amount, address destination);

    /// @notice A payment's transfer failed; it is settled, and `account` can claim the amount.
    event PaymentClaimable(
        bytes32 indexed id, address indexed account, address indexed token, uint256 amount, address destination
    );

    /// @notice A payment was left out of its batch; its id stays unused.
    event PaymentSkipped(bytes32 indexed id, SkipReason reason);

    /// @notice An account took what earlier failed transfers left for it.
    event Claimed(address indexed account, address indexed token, uint256 amount, address destination);

    /// @notice The settlement module released an amount to `account`; if not `paid`, it became claimable.
    event Exited(address indexed account, address indexed token, uint256 amount, bool paid);

    /// @notice Deposits and withdrawals are paused until the given block time, in seconds.
    event Paused(uint256 until);

    /// @notice The pause was ended early.
    event Unpaused();

    /// @notice The net-outflow limit of a token changed; 0 means no limit.
    event OutflowLimitSet(address indexed token, uint256 limit, uint64 windowSeconds);

    /// @notice A settlement module may be activated from `activatableAt`; module zero withdraws the proposal.
    event SettlementModuleProposed(address indexed module, uint256 activatableAt);

    /// @notice The settlement module is set, for ever.
    event SettlementModuleActivated(address indexed module);

    /// @notice Deposits and operator withdrawals have stopped, for ever.
    event Frozen();

    /// @notice The account must not be zero.
    error InvalidAccount(address account);
    /// @notice Paying there would lose the amount.
    error InvalidDestination(address destination);
    /// @notice The native token cannot be deposited this way.
    error InvalidToken(address token);
    /// @notice The deposit brought nothing in.
    error NothingReceived(address token);
    /// @notice The amount, or the account's total with it, exceeds 2^128 - 1.
    error AmountTooLarge(uint256 amount);
    /// @notice Every payment needs exactly one signature.
    error LengthMismatch(uint256 payments, uint256 signatures);
    /// @notice The account has nothing to claim in this token.
    error NothingToClaim(address account, address token);
    /// @notice A claim's transfer failed; the claim stays as it was.
    error TransferFailed(address token, address destination, uint256 amount);
    /// @notice More was asked for than the vault accounts for.
    error InsufficientAccounted(address token, uint256 amount, uint256 accounted);
    /// @notice Not until the pause ends, at `until` (seconds).
    error VaultPaused(uint256 until);
    /// @notice There is no pause to end.
    error VaultNotPaused();
    /// @notice The next pause may start at `allowedFrom` (seconds).
    error PauseCoolingDown(uint256 allowedFrom);
    /// @notice The settlement module stopped deposits and withdrawals, for ever.
    error VaultFrozen();
    /// @notice Only the active settlement module may call this.
    error OnlySettlementModule(address caller);
    /// @notice A module is active and can never be replaced.
    error SettlementModuleAlreadySet(address module);
    /// @notice A module must be a deployed contract.
    error SettlementModuleWithoutCode(address module);
    /// @notice No module is proposed.
    error NoSettlementModuleProposed();
    /// @notice The notice period runs until `activatableAt` (seconds).
    error SettlementModuleNoticeRunning(uint256 activatableAt);

    /// @notice Deposits the sent native token for `account`.
    /// @return number The deposit's number: 1, 2, 3, ... over all accounts and tokens.
    function depositNative(address account) external payable returns (uint256 number);

    /// @notice Deposits the caller's tokens for `account`, within the allowance given to the vault. Credits what
    /// arrives, so a fee taken by the token is the depositor's.
    function deposit(address account, address token, uint256 amount) external returns (uint256 number);

    /// @notice Deposits with the caller's ERC-2612 permit. A permit that somebody else already submitted does no
    /// harm: the allowance it gave is used.
    function depositWithPermit(
        address account,
        address token,
        uint256 amount,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external returns (uint256 number);

    /// @notice Deposits with an ERC-3009 `receiveWithAuthorization` signed by `from`. Anyone may submit it, but its
    /// nonce is `keccak256(abi.encode(account, salt))`, so it credits the signed account only.
    function depositWithAuthorization(
        address account,
        address token,
        address from,
        uint256 amount,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 salt,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external returns (uint256 number);

    /// @notice Pays a batch. Each item needs a 65-byte EIP-712 signature by a holder of the signer role. An item that
    /// may not run is skipped with its id unused; one whose transfer fails becomes claimable. Restricted.
    function withdraw(Payment[] calldata payments, bytes[] calldata signatures) external;

    /// @notice Sends everything claimable by the caller to `destination`. Never restricted, paused or limited.
    function claim(address token, address destination) external returns (uint256 amount);

    /// @notice Pauses deposits and withdrawals for a fixed time. Restricted.
    function pause() external;

    /// @notice Ends the pause early; the cool-down before the next one starts now. Restricted.
    function unpause() external;

    /// @notice Limits payments less deposits of a token: `limit` atoms at once, refilling evenly over the window.
    /// Restricted; limit 0 removes it.
    function setOutflowLimit(address token, uint256 limit, uint64 windowSeconds) external;

    /// @notice Starts the notice for a settlement module, replacing an earlier proposal; zero withdraws it. Restricted.
    function proposeSettlementModule(address module) external;

    /// @notice Activates the proposed module after the notice. Possible once, for ever. Restricted.
    function activateSettlementModule() external;

    /// @notice Stops deposits and operator withdrawals for ever. For the settlement module alone.
    function freeze() external;

    /// @notice Releases an amount to its account, by transfer or else as a claim. For the settlement module alone.
    function exit(address account, address token, uint256 amount) external;

    /// @notice How many deposits were credited.
    function depositCount() external view returns (uint256);

    /// @notice Rolling hash over all deposits. It starts as `keccak256(abi.encode(chainid, vault))`, and each deposit
    /// makes it `keccak256(abi.encode(previous, number, account, token, amount))`.
    function depositHash() external view returns (bytes32);

    /// @notice Atoms of a token the vault holds for accounts, claims excluded.
    function accounted(address token) external view returns (uint256);

    /// @notice Atoms an account can claim.
    function claimable(address account, address token) external view returns (uint256);

    /// @notice Atoms of a token all accounts together can claim.
    function claimableTotal(address token) external view returns (uint256);

    /// @notice Lifetime flows of an account in a token.
    function flows(address account, address token) external view returns (Flows memory);

    /// @notice Whether a payment with this id ran, by transfer or as a claim.
    function used(bytes32 id) external view returns (bool);

    /// @notice The EIP-712 digest the operator signs for a payment.
    function paymentDigest(Payment calldata payment) external view returns (bytes32);

    /// @notice The outflow limit of a token (0: none), its window, and the atoms of it in use now.
    function outflow(address token) external view returns (uint256 limit, uint64 windowSeconds, uint256 inUse);

    /// @notice The active settlement module, or zero.
    function settlementModule() external view returns (address);

    /// @notice The module under notice, or zero, and when it may be activated (seconds).
    function proposedSettlementModule() external view returns (address module, uint256 activatableAt);

    /// @notice Whether the settlement module froze the vault.
    function frozen() external view returns (bool);

    /// @notice End of the newest pause, in seconds; the vault is paused while block time is before it.
    function pausedUntil() external view returns (uint256);
}
