"""What can be wrong with something that is asked of a fine-tune job."""


class JobError(Exception):
    """It cannot be done; `field` is the form's field, or empty, and the message is fit to show."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
