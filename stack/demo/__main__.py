"""`python -m stack.demo`: the whole job over HTTP, as two tenants' people and apps and the operator's finance do it.

Wants a running stack, and its addresses in the environment. What an earlier run has made is used again.
"""

import argparse
import os
import sys
import time
from pathlib import Path

import httpx

from core.catalogue import Task
from stack.demo import accounts, apps, finance, privacy
from stack.demo.browser import Browser, DemoFailed
from stack.demo.console import heading, say, table
from stack.demo.datasets import prepare_dataset
from stack.demo.fine_tunes import find_model, fine_tune
from stack.demo.memory import Memory
from stack.demo.stories import STAFF_EMAIL, STORIES, Story


def main(arguments: list[str]) -> int:
    """Run the demo, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m stack.demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="the stack stops after the demo")
    once = parser.parse_args(arguments).once
    started = time.monotonic()
    memory = Memory.load(Path(os.environ["STATE_DIR"]))
    try:
        with Browser(os.environ["PORTAL_URL"]) as staff:
            heading("Adaptary, the operator")
            accounts.enter_as_staff(staff, memory)
            for story in STORIES:
                _tell(story, memory, staff)
            heading("Adaptary's finance")
            finance.invoice_and_collect(staff)
    except DemoFailed as failure:
        print(f"\nThe demo stopped: {failure}", file=sys.stderr)
        return 1
    except httpx.HTTPError as error:
        print(f"\nThe demo stopped: the portal or the API cannot be reached ({error}).", file=sys.stderr)
        return 1
    print(f"\nThe whole job took {time.monotonic() - started:.0f} s.")
    if not once:
        _invite(memory)
    return 0


def _tell(story: Story, memory: Memory, staff: Browser) -> None:
    """One tenant's way, from signing up to what its app has used; `staff` puts it on its plan."""
    heading(story.company)
    with Browser(os.environ["PORTAL_URL"]) as browser:
        is_new = accounts.enter(browser, story, memory)
        if is_new and story.plan is not None:
            finance.put_on_plan(staff, story.company, story.plan)
        if find_model(browser, story) is not None:
            say(f"Its model “{story.model}” is there already, from an earlier run.")
        else:
            fine_tune(browser, story, prepare_dataset(browser, story))
        key = apps.get_key(browser, story, memory)
        model = find_model(browser, story)
        if model is not None and model.status_word == "live":
            apps.call_model(os.environ["API_URL"], key, story)
        else:
            say("Its app waits: no version of the model is good enough to be promoted.")
        if story.task is Task.CHAT:
            privacy.follow_personal_data(os.environ["API_URL"], key)
        finance.show_usage(browser)


def _invite(memory: Memory) -> None:
    """Tell where to look, and as whom."""
    heading(f"Have a look: {os.environ['PORTAL_URL']}")
    people = {story.email: f"admin of {story.company}" for story in STORIES} | {
        STAFF_EMAIL: "Adaptary's staff"
    }
    logins = [memory.login(email) for email in people]
    table(
        [
            ["who", "e-mail", "password"],
            *([people[login.email], login.email, login.password] for login in logins),
        ]
    )
    for story in STORIES:
        say("")
        say(f"The API key of {story.company}'s app, for the model “{story.model}”:")
        say(memory.keys[story.email])


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    sys.exit(main(sys.argv[1:]))
