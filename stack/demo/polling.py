"""Waiting for work that the portal shows the progress of."""

import time
from collections.abc import Collection

from stack.demo.browser import Browser, DemoFailed, Page
from stack.demo.console import Step

_SECONDS_BETWEEN = 1.0
_PATIENCE_SECONDS = 1800.0


def reload_while(browser: Browser, page: Page, statuses: Collection[str], running: Step) -> Page:
    """Load `page` again and again while its status is one of `statuses`, telling `running` how far it is.

    Raises DemoFailed after half an hour.
    """
    give_up = time.monotonic() + _PATIENCE_SECONDS
    while page.status_word in statuses:
        if time.monotonic() > give_up:
            raise DemoFailed(f"{page.path} is still {page.status_word} after half an hour.")
        share, words = page.progress()
        running.progress(share, words or page.status_word)
        time.sleep(_SECONDS_BETWEEN)
        page = browser.open(page.address)
    return page
