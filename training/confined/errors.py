"""How a run of the recipe in a process of its own can go wrong. None of their words quotes what that process said."""


class Refused(Exception):
    """It sent what it may not; `reason` is one word for the log."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ChildLost(Exception):
    """It has died, or has not been heard of for as long as a grant lives."""


class ChildBroke(Exception):
    """Its recipe failed with an error that is neither the data's nor the settings'."""
