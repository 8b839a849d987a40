"""How much of everything is allowed: the rates of a deployment, and the TOML file that changes them.

    [ip]                                                # of one client address; IPv6: of one /64
    requests = { burst = 2000, per_s = 500 }
    cancels = { burst = 4000, per_s = 1000 }            # left out: twice the requests
    sign_ins = { burst = 20, per_s = 1 }                # requests to sign in or out
    connections = 200                                   # open at a time, WebSockets among them

    [key]                                               # of one session or agent key
    requests = { burst = 1000, per_s = 200 }

    [account.standard]                                  # of one owner, all sub-accounts together
    orders = { burst = 1000, per_s = 200 }
    cancels = { burst = 2000, per_s = 400 }             # left out: twice the orders

    [account.market_maker]
    orders = { burst = 50000, per_s = 20000 }

A table that is left out is as above.
"""

import tomllib
from typing import Annotated

import msgspec

MOST_TOKENS = 1_000_000

_Tokens = Annotated[int, msgspec.Meta(ge=1, le=MOST_TOKENS)]


class PolicyInvalid(ValueError):
    """The file is not TOML, or says something that is not of a policy."""


class Rate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A bucket: so much at once, then so much a second."""

    burst: _Tokens
    per_s: _Tokens

    def doubled(self) -> "Rate":
        """Twice as much at once and a second."""
        return Rate(2 * self.burst, 2 * self.per_s)


class KeyRates(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of one session or agent key: requests that cancel nothing, and those that do."""

    requests: Rate
    cancels: Rate | None = None

    @property
    def of_cancels(self) -> Rate:
        return self.cancels or self.requests.doubled()


class IpRates(KeyRates, frozen=True, forbid_unknown_fields=True):
    """Of one client address: the same, attempts to sign in, and how many connections it may have open."""

    sign_ins: Rate = Rate(20, 1)
    connections: _Tokens = 200


class AccountRates(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of what an owner does: placements and amendments, and cancellations."""

    orders: Rate
    cancels: Rate | None = None

    @property
    def of_cancels(self) -> Rate:
        return self.cancels or self.orders.doubled()


class AccountClasses(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """By the owner's class, which the operator sets."""

    standard: AccountRates = AccountRates(Rate(1_000, 200))
    market_maker: AccountRates = AccountRates(Rate(50_000, 20_000))


class RateLimitPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All rates of a deployment."""

    ip: IpRates = IpRates(Rate(2_000, 500))
    key: KeyRates = KeyRates(Rate(1_000, 200))
    account: AccountClasses = AccountClasses()


def read_policy(text: str) -> RateLimitPolicy:
    """The policy that a file's text says. Raises PolicyInvalid."""
    try:
        return msgspec.convert(tomllib.loads(text), RateLimitPolicy)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise PolicyInvalid(str(error)) from error


def uniform_policy(rate: Rate) -> RateLimitPolicy:
    """The same rate for everything, whoever does it; cancellations have twice that.

    Connections have no bound to speak of.
    """
    account = AccountRates(rate)
    ip = IpRates(rate, sign_ins=rate, connections=MOST_TOKENS)
    return RateLimitPolicy(ip, KeyRates(rate), AccountClasses(account, account))
