"""What a fine-tune tells whoever started it, and how it is stopped."""

from typing import Protocol

from core.models.fine_tune_jobs import JobStatus


class Monitor(Protocol):
    """Watches a fine-tune. Whatever a method raises stops the fine-tune at once and reaches its caller as it is."""

    def phase(self, status: JobStatus, message: str) -> None:
        """What begins now: PREPARING, TRAINING or EVALUATING; `message` says it to the tenant."""

    def will_read(self, training_tokens: int) -> None:
        """How many tokens training is going to read; it has not begun."""

    def beat(self, progress: float, eta_seconds: int | None) -> None:
        """It goes on. `progress` is 0 to 1 over the whole job, `eta_seconds` the seconds left, None while unknown.

        Called at least every two seconds or so, whatever is being done.
        """

    def metric(self, name: str, step: int, epoch: float, value: float) -> None:
        """A point of a curve: train_loss, validation_loss, validation_accuracy, validation_macro_f1 or validation_f1.

        `epoch` counts from 0 and has fractions. After a resumption points can come a second time.
        """

    def log(self, message: str) -> None:
        """A line for the tenant. It holds no text of theirs."""

    def save_checkpoint(self, data: bytes) -> None:
        """Everything needed to go on from here; it takes the place of the one before."""


class Silent:
    """A monitor that nobody listens to."""

    def phase(self, status: JobStatus, message: str) -> None:
        pass

    def will_read(self, training_tokens: int) -> None:
        pass

    def beat(self, progress: float, eta_seconds: int | None) -> None:
        pass

    def metric(self, name: str, step: int, epoch: float, value: float) -> None:
        pass

    def log(self, message: str) -> None:
        pass

    def save_checkpoint(self, data: bytes) -> None:
        pass
