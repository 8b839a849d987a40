"""What `exchange devnet --review-above` makes of its words."""

import pytest

from exchange.chain.deployment import Deployment, Token
from exchange.config import risk_policy
from exchange.devnet import DevnetError, devnet_listing, review_limits

ADDRESS = "0x" + "11" * 20
DEPLOYMENT = Deployment(31_337, ADDRESS, ADDRESS, (Token("USDC", 6, ADDRESS),), 1)


def test_a_devnet_sends_everything_out_by_itself() -> None:
    policy = risk_policy(devnet_listing(DEPLOYMENT))
    assert policy.reviews("USDC", 10**15) is None
    assert policy.reviews("ETH", 10**27) is None


def test_more_than_the_limit_of_an_asset_is_reviewed() -> None:
    policy = risk_policy(devnet_listing(DEPLOYMENT, review_limits(["USDC=2.5"])))
    assert policy.reviews("USDC", 2_500_000) is None
    assert policy.reviews("USDC", 2_500_001) == "amount is reviewed by hand"
    assert policy.reviews("ETH", 10**27) is None


@pytest.mark.parametrize("text", ["USDC", "USDC=", "=5", ""])
def test_half_a_limit_is_refused(text: str) -> None:
    with pytest.raises(DevnetError, match="USDC=1000"):
        review_limits([text])


def test_a_limit_of_no_asset_is_refused() -> None:
    with pytest.raises(DevnetError, match="DOGE"):
        devnet_listing(DEPLOYMENT, {"DOGE": "1"})
