import re
from pathlib import Path

import pytest

from exchange.core.words import RateClass
from exchange.gateway.rate_policy import (
    MOST_TOKENS,
    AccountClasses,
    PolicyInvalid,
    Rate,
    RateLimitPolicy,
    read_policy,
    uniform_policy,
)

DOCUMENTED = Path(__file__).parents[2] / "docs" / "api" / "rate-limits.md"


def test_an_empty_file_is_the_default_policy():
    policy = read_policy("")
    assert policy == RateLimitPolicy()
    assert policy.ip.requests == Rate(2_000, 500)
    assert policy.ip.of_cancels == Rate(4_000, 1_000)
    assert policy.ip.sign_ins == Rate(20, 1)
    assert policy.ip.connections == 200
    assert policy.key.requests == Rate(1_000, 200)
    assert policy.key.of_cancels == Rate(2_000, 400)
    assert policy.account.standard.orders == Rate(1_000, 200)
    assert policy.account.standard.of_cancels == Rate(2_000, 400)
    assert policy.account.market_maker.orders == Rate(50_000, 20_000)
    assert policy.account.market_maker.of_cancels == Rate(100_000, 40_000)


def test_a_file_changes_what_it_names_and_cancels_are_twice_the_rest_unless_it_says_so():
    policy = read_policy(
        """
        [key]
        requests = { burst = 10, per_s = 5 }

        [account.standard]
        orders = { burst = 7, per_s = 3 }
        cancels = { burst = 8, per_s = 4 }
        """
    )
    assert policy.key.requests == Rate(10, 5)
    assert policy.key.of_cancels == Rate(20, 10)
    assert policy.account.standard.of_cancels == Rate(8, 4)
    assert (policy.ip, policy.account.market_maker) == (
        RateLimitPolicy().ip,
        RateLimitPolicy().account.market_maker,
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[ip", "Expected ']'"),
        ("[ip]", "missing required field `requests`"),
        ("[ip]\nrequests = 5", "$.ip.requests"),
        ("[ip]\nrequests = { burst = 5 }", "missing required field `per_s`"),
        ("[ip]\nrequests = { burst = 5, per_s = 1, per_min = 2 }", "unknown field `per_min`"),
        ("[key]\nrequests = { burst = 0, per_s = 1 }", ">= 1 - at `$.key.requests.burst`"),
        ("[key]\nrequests = { burst = -1, per_s = 1 }", ">= 1 - at `$.key.requests.burst`"),
        ("[key]\nrequests = { burst = 1, per_s = 1000001 }", "<= 1000000 - at `$.key.requests.per_s`"),
        ("[key]\nrequests = { burst = 1.5, per_s = 1 }", "got `float`"),
        ('[key]\nrequests = { burst = "5", per_s = 1 }', "got `str`"),
        ("[ip]\nrequests = { burst = 5, per_s = 1 }\nconnections = 0", ">= 1 - at `$.ip.connections`"),
        ("[key]\nrequests = { burst = true, per_s = 1 }", "got `bool`"),
        ("[key]\nsign_ins = { burst = 1, per_s = 1 }", "unknown field `sign_ins`"),
        ("[account.gold]\norders = { burst = 1, per_s = 1 }", "unknown field `gold`"),
        ("[account]\norders = { burst = 1, per_s = 1 }", "unknown field `orders`"),
        ("[address]\nrequests = { burst = 1, per_s = 1 }", "unknown field `address`"),
    ],
)
def test_a_file_that_says_anything_else_is_refused_and_the_place_is_named(text, complaint):
    with pytest.raises(PolicyInvalid, match=re.escape(complaint)):
        read_policy(text)


def test_every_class_of_the_core_has_rates():
    assert set(AccountClasses.__struct_fields__) == set(RateClass)


def test_a_uniform_policy_has_one_rate_for_everything_and_twice_that_for_cancellations():
    policy = uniform_policy(Rate(9, 3))
    for rates in (policy.ip, policy.key):
        assert (rates.requests, rates.of_cancels) == (Rate(9, 3), Rate(18, 6))
    for rates in (policy.account.standard, policy.account.market_maker):
        assert (rates.orders, rates.of_cancels) == (Rate(9, 3), Rate(18, 6))
    assert policy.ip.sign_ins == Rate(9, 3)
    assert policy.ip.connections == MOST_TOKENS


def test_the_documented_file_is_the_default_policy():
    text = DOCUMENTED.read_text(encoding="utf-8").split("```toml\n", 1)[1].split("```", 1)[0]
    policy = read_policy(text)
    for documented, default in ((policy.ip, RateLimitPolicy().ip), (policy.key, RateLimitPolicy().key)):
        assert (documented.requests, documented.of_cancels) == (default.requests, default.of_cancels)
    assert policy.ip.sign_ins == RateLimitPolicy().ip.sign_ins
    assert policy.ip.connections == RateLimitPolicy().ip.connections
    for name in RateClass:
        documented, default = getattr(policy.account, name), getattr(RateLimitPolicy().account, name)
        assert (documented.orders, documented.of_cancels) == (default.orders, default.of_cancels)
