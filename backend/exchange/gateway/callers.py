"""Who asks, and what that one may: an owner by a session, or one of the owner's agents by its key.

A session may do everything that does not need the wallet's own signature. An agent may do what its owner's
approval says: read or trade, in these markets, with these sub-accounts.
"""

from dataclasses import dataclass
from typing import Self

from exchange.core.words import AgentScope
from exchange.gateway.refusals import AgentRefused, GatewayCode
from exchange.gateway.sessions import Session
from exchange.sequencer.agents import Agent


@dataclass(frozen=True, slots=True)
class Caller:
    """On whose behalf something is asked for, until when, and by what.

    `account_id` is the owner's main account. `credential` is what can be ended: the hash of a session's
    token, or the text of an agent's key; two callers are the same if they have the same one.
    """

    owner: str
    account_id: int
    expires_ns: int
    agent: Agent | None
    credential: bytes | str

    @classmethod
    def of_session(cls, session: Session, token_hash: bytes) -> Self:
        """The owner's self."""
        return cls(session.owner, session.account_id, session.expires_ns, None, token_hash)

    @classmethod
    def of_agent(cls, agent: Agent, account_id: int) -> Self:
        """One of the owner's agents."""
        return cls(agent.owner, account_id, agent.expires_ns, agent, agent.key)

    @property
    def scopes(self) -> tuple[AgentScope, ...]:
        """What this one may do at all."""
        return tuple(AgentScope) if self.agent is None else self.agent.scopes

    def require_scope(self, scope: AgentScope) -> None:
        """Raises AgentRefused (scope_missing)."""
        if self.agent is not None and scope not in self.agent.scopes:
            raise AgentRefused(
                GatewayCode.SCOPE_MISSING,
                f"this needs the scope {scope.value}; the owner gave the key {', '.join(self.agent.scopes)}",
                value=self.agent.key,
            )

    def require_market(self, market_id: int, field: str = "market") -> None:
        """That this one may trade in the market. Raises AgentRefused (market_not_allowed)."""
        agent = self.agent
        if agent is not None and agent.market_ids and market_id not in agent.market_ids:
            raise AgentRefused(
                GatewayCode.MARKET_NOT_ALLOWED, "the owner did not allow this key this market", field=field
            )

    def require_every_market(self) -> None:
        """That this one may do what touches all markets. Raises AgentRefused (market_not_allowed)."""
        if self.agent is not None and self.agent.market_ids:
            raise AgentRefused(
                GatewayCode.MARKET_NOT_ALLOWED,
                "this would touch every market, and the owner allowed this key only some; name one of them "
                "where that is possible",
                field="market",
            )

    def may_use(self, sub_account: int) -> bool:
        """Whether this one may read, and trade with, the owner's sub-account."""
        agent = self.agent
        return agent is None or not agent.sub_accounts or sub_account in agent.sub_accounts

    def require_every_sub_account(self) -> None:
        """That this one may read what is of all accounts. Raises AgentRefused (sub_account_not_allowed)."""
        if self.agent is not None and self.agent.sub_accounts:
            raise AgentRefused(
                GatewayCode.SUB_ACCOUNT_NOT_ALLOWED,
                "this tells of every sub-account, and the owner allowed this key only some",
                field="sub_account",
            )

    def require_sub_account(self, sub_account: int, field: str = "sub_account") -> None:
        """Raises AgentRefused (sub_account_not_allowed)."""
        if self.may_use(sub_account):
            return
        assert self.agent is not None
        raise AgentRefused(
            GatewayCode.SUB_ACCOUNT_NOT_ALLOWED,
            f"the owner allowed this key the sub-accounts {', '.join(map(str, self.agent.sub_accounts))}",
            field=field,
            value=sub_account,
        )
