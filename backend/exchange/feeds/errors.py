"""What can go wrong with streams."""

from exchange.feeds.keys import TopicKey


class FeedsError(Exception):
    """Root of the errors of this package."""


class FeedUnavailable(FeedsError):
    """A stream can not begin now: what it continues can not be read, or is too far behind. Try again."""

    def __init__(self, key: TopicKey, reason: str) -> None:
        self.key = key
        self.reason = reason
        super().__init__(f"{key.channel} can not begin now: {reason}")


class FeedsBroken(FeedsError):
    """Something committed was not taken in, and nobody can be told what: only `Feeds.reset` helps."""


class FeedsOverrun(FeedsBroken):
    """So much was committed without being drained that it was dropped."""

    def __init__(self) -> None:
        super().__init__("committed batches were dropped, because nobody drained them")


class FoldFailed(FeedsBroken):
    """An earlier call raised, while it took in what was committed: the cause. That is a bug."""

    def __init__(self) -> None:
        super().__init__("not everything that was committed has been taken in")
