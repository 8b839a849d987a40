"""Ports that stay ours while their server is dead."""

import socket
from pathlib import Path
from random import Random

LOWEST, HIGHEST = 20_000, 32_000
HOST = "127.0.0.1"


def free_port() -> int:
    """A free port that the system gives to nobody as the near end of an outgoing connection.

    Such an end (the drill itself makes thousands) would hold the port of a killed server, and its restart
    would fail.
    """
    random = Random()
    ephemeral = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    highest = min(HIGHEST, int(ephemeral[0]) - 1)
    while True:
        port = random.randrange(min(LOWEST, highest - 1_000), highest)
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
