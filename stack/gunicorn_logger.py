"""gunicorn's own log, which quotes no request: an address, a query and a header may hold a person's name."""

import sys
from typing import Any

from gunicorn.glogging import Logger


class QuietLogger(Logger):
    """Says that a request was refused or failed, and of what type the error is."""

    def warning(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        error = sys.exc_info()[0]
        if error is None:
            super().warning(msg, *args, **kwargs)
        else:
            super().warning("Refused a request: %s", error.__name__)

    def exception(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        super().exception("A request failed, and the app did not answer it")
