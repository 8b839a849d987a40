"""What a test is handed: a running devnet, its chain, its wallets, and the way back to a point before."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exchange.testing_devnet.chain import Amount, Asset, DevChain
from exchange.testing_devnet.json_http import call
from exchange.testing_devnet.process import DevnetProcess
from exchange.testing_devnet.wallets import FundedWallet

GAS_MONEY: Mapping[str, Amount] = {"ETH": 10}
"""What a wallet has on chain unless a test says otherwise."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that a devnet had kept at one moment, in a folder of its own."""

    folder: Path


class Devnet:
    """A whole exchange with a chain of its own. Every method blocks and may be called from any thread."""

    def __init__(self, process: DevnetProcess) -> None:
        """Of a process that is running."""
        self.process = process
        self._snapshots = 0
        self._meet()

    @property
    def url(self) -> str:
        """Of the API; what a client of the exchange is given."""
        return self.process.url

    @property
    def websocket_url(self) -> str:
        return f"ws://localhost:{self.process.port}/v1/ws"

    @property
    def rpc_url(self) -> str:
        """JSON-RPC of the chain."""
        return self.process.rpc_url

    def wallet(
        self, at_exchange: Mapping[str, Amount] | None = None, on_chain: Mapping[str, Amount] | None = None
    ) -> FundedWallet:
        """A new wallet with that much, credited and mined when this returns.

        `on_chain` is 10 ETH unless given. Raises NotCredited.
        """
        wallet = FundedWallet.new(self.url, self.chain)
        for symbol, amount in (GAS_MONEY if on_chain is None else on_chain).items():
            self.chain.give(wallet.address, symbol, amount)
        if at_exchange:
            wallet.deposit_all(at_exchange)
        return wallet

    def call(self, method: str, path: str, body: object = None) -> Any:
        """A request of the public API, `path` beginning with /v1. Raises ApiRefused."""
        return call(method, self.url + path, body)

    def snapshot(self) -> Snapshot:
        """Stops the exchange, copies all that it keeps, and starts it again on the same ports.

        The only honest way: journal, read tables, trades and chain must be of one moment. Takes about two
        seconds; connections are lost, as in a restart.
        """
        self._snapshots += 1
        kept = Snapshot(self.process.folder / f"snapshot-{self._snapshots}")
        self.process.stop()
        copy_folder(self.process.data_dir, kept.folder)
        self.process.start()
        self._meet()
        return kept

    def restore(self, snapshot: Snapshot) -> None:
        """Puts everything back to the snapshot, which stays good for more. The machine's clock goes on."""
        self.process.stop()
        shutil.rmtree(self.process.data_dir)
        copy_folder(snapshot.folder, self.process.data_dir)
        self.process.start()
        self._meet()

    def crash(self) -> None:
        """Kills the exchange with SIGKILL; then its database and its chain end too. See `restart`."""
        self.process.kill()

    def restart(self) -> None:
        """Starts it again, on the same ports, after a crash or (stopping it first) without one."""
        self.process.stop()
        self.process.start()
        self._meet()

    def _meet(self) -> None:
        """Asks what there is on the chain."""
        deployment = self.call("GET", "/v1/deployment")
        assets = {
            item["symbol"]: Asset(item["symbol"], item["decimals"], item["token"].lower())
            for item in self.call("GET", "/v1/assets")["items"]
        }
        self.chain = DevChain(self.rpc_url, deployment["vault"], assets, deployment["confirmations"])


def copy_folder(source: Path, target: Path) -> None:
    """A copy with owners and modes: Postgres looks at them, and may run as another user than we do."""
    shutil.copytree(source, target, symlinks=True)
    for path in (source, *source.rglob("*")):
        status = path.lstat()
        os.chown(target / path.relative_to(source), status.st_uid, status.st_gid, follow_symlinks=False)
