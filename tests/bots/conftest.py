"""A served exchange for bots, as the SDK's tests have it."""

from tests.sdk.conftest import exchange, market  # noqa: F401 - fixtures
