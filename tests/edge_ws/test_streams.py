from tests.edge_ws.speaking import BOOK


async def test_the_first_message_is_a_welcome(streams):
    async with streams.client() as client:
        assert client.welcome["type"] == "welcome"
        assert client.welcome["genesis_id"] == streams.exchange.view.genesis_id
        assert client.welcome["limits"] == {
            "request_bytes": 4096,
            "requests_at_once": 100,
            "requests_per_s": 50,
            "subscriptions": 200,
        }


async def test_a_subscriber_gets_the_whole_book_and_then_what_changes(streams):
    trader = await streams.exchange.trader(USDC=10**10)
    async with streams.client() as client:
        snapshot = await client.subscribe(**BOOK)
        assert snapshot["data"] == {"bids": [], "asks": [], "checksum": 0}
        order = (await trader.order()).json()
        update = await client.receive()
        assert update["type"] == "update"
        assert update["prev_seq"] == snapshot["seq"]
        assert update["seq"] == order["seq"]
        assert update["data"]["bids"] == [["3000", "1"]]


async def test_a_private_subscriber_sees_its_orders_fills_and_balances(streams):
    trader = await streams.exchange.trader(USDC=10**10)
    async with streams.signed_in(trader) as client:
        for channel in ("orders", "fills", "balances", "deposits", "withdrawals"):
            await client.subscribe(channel=channel)
        order = (await trader.order()).json()
        found = {message["channel"]: message for message in [await client.receive(), await client.receive()]}
        assert found["orders"]["data"] == [order["order"]]
        assert found["balances"]["data"][0]["asset"] == "USDC"
