"""A store that cannot serve now: a full disk, a failing device, a lock held for too long.

Nothing is half done when it is raised. Whoever called keeps what it has and comes back.
"""


class Unavailable(Exception):
    """`retry_after` is in seconds."""

    def __init__(self, message: str, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after
