"""The agents' side of the committed view: which keys act for whom, and how much an owner may ask for."""

from collections.abc import Callable

import msgspec

from exchange.core.events import AgentApproved, AgentRevoked, RateClassSet
from exchange.core.state import State
from exchange.core.words import AgentScope, RateClass


class Agent(msgspec.Struct, frozen=True, gc=False):
    """A key that an owner has approved, as it is committed. Empty markets, accounts, ranges: no bound."""

    key: str
    owner: str
    name: str
    scopes: tuple[AgentScope, ...]
    market_ids: tuple[int, ...]
    sub_accounts: tuple[int, ...]
    expires_ns: int
    ip_ranges: tuple[str, ...]
    nonce: int
    """Of the approval."""
    approved_ns: int
    revoked_ns: int = 0
    """0: it was not."""


class Agents:
    """Every key that was ever approved. Methods that take an event fold it in."""

    def __init__(self) -> None:
        self.time_ns = 0
        """Of the batch that is taken in."""
        self._agents: dict[str, Agent] = {}
        self._by_owner: dict[str, set[str]] = {}
        self._rate_classes: dict[str, RateClass] = {}
        self._revoked: list[str] = []
        self._watchers: list[Callable[[str], None]] = []

    def load(self, state: State) -> None:
        """Takes over what is in the core's state."""
        for agent in state.agents.values():
            self._enter(
                Agent(
                    agent.key,
                    agent.owner,
                    agent.name,
                    agent.scopes,
                    agent.market_ids,
                    agent.sub_accounts,
                    agent.expires_ns,
                    agent.ip_ranges,
                    agent.nonce,
                    agent.approved_ns,
                    agent.revoked_ns,
                )
            )
        self._rate_classes = dict(state.rate_classes)

    def _enter(self, agent: Agent) -> None:
        self._agents[agent.key] = agent
        self._by_owner.setdefault(agent.owner, set()).add(agent.key)

    # ---- reads

    def get(self, key: str) -> Agent | None:
        return self._agents.get(key)

    def of_owner(self, owner: str) -> list[Agent]:
        """The newest first; of those approved in one batch, by key."""
        agents = [self._agents[key] for key in sorted(self._by_owner.get(owner, ()))]
        return sorted(agents, key=lambda agent: agent.approved_ns, reverse=True)

    def rate_class(self, owner: str) -> RateClass:
        return self._rate_classes.get(owner, RateClass.STANDARD)

    def watch_revoked(self, on_revoked: Callable[[str], None]) -> None:
        self._watchers.append(on_revoked)

    # ---- the fold

    def approve(self, event: AgentApproved) -> None:
        self._enter(
            Agent(
                event.key,
                event.owner,
                event.name,
                event.scopes,
                event.market_ids,
                event.sub_accounts,
                event.expires_ns,
                event.ip_ranges,
                event.nonce,
                self.time_ns,
            )
        )

    def revoke(self, event: AgentRevoked) -> None:
        agent = self._agents[event.key]
        self._agents[event.key] = msgspec.structs.replace(agent, revoked_ns=self.time_ns)
        self._revoked.append(event.key)

    def set_rate_class(self, event: RateClassSet) -> None:
        if event.rate_class is RateClass.STANDARD:
            self._rate_classes.pop(event.owner, None)
        else:
            self._rate_classes[event.owner] = event.rate_class

    def tell_revoked(self) -> None:
        """Calls the watchers, once a batch has been taken in whole."""
        while self._revoked:
            key = self._revoked.pop(0)
            for on_revoked in self._watchers:
                on_revoked(key)
