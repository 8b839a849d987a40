"""What is used of web3, which is an extra: `pip install exchange-sdk[chain]`."""

import warnings

with warnings.catch_warnings():
    # It imports a part of websockets that is marked as old, and that nothing here uses.
    warnings.simplefilter("ignore", DeprecationWarning)
    try:
        from web3 import Web3
        from web3.contract.contract import Contract, ContractFunction
        from web3.exceptions import (
            BadResponseFormat,
            ContractLogicError,
            RequestTimedOut,
            TransactionNotFound,
            Web3Exception,
            Web3RPCError,
        )
        from web3.logs import DISCARD
    except ImportError as error:
        raise ImportError("deposits and claims need web3: pip install exchange-sdk[chain]") from error

__all__ = [
    "DISCARD",
    "BadResponseFormat",
    "Contract",
    "ContractFunction",
    "ContractLogicError",
    "RequestTimedOut",
    "TransactionNotFound",
    "Web3",
    "Web3Exception",
    "Web3RPCError",
]
