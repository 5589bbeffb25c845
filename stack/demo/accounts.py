"""Signing up and in, as people do, and the operator's first member of staff, whom a command makes."""

import os
import subprocess
import sys

from stack.demo.browser import Browser, DemoFailed
from stack.demo.console import step
from stack.demo.memory import Login, Memory
from stack.demo.stories import STAFF_EMAIL, Story


def enter(browser: Browser, story: Story, memory: Memory) -> bool:
    """Sign the story's person up, or in where an earlier run signed them up; returns whether they are new."""
    is_new = story.email not in memory.logins
    login = memory.login(story.email)
    if not is_new:
        with step(f"{story.person} signs in") as signing_in:
            sign_in(browser, login)
            signing_in.note = f"{login.email}, from an earlier run"
        return False
    with step(f"{story.person} signs up {story.company}") as signing_up:
        page = browser.open("/signup")
        answer = browser.submit(
            page,
            page.form(having="tenant_name"),
            tenant_name=story.company,
            name=story.person,
            email=login.email,
            password=login.password,
            terms="y",
        )
        if answer.path != "/":
            raise DemoFailed(f"Signing up {login.email} ended at {answer.path}. {answer.complaint()}")
        memory.save()
        signing_up.note = login.email
    return True


def enter_as_staff(browser: Browser, memory: Memory) -> None:
    """Make the operator's member of staff where there is none yet, and sign in."""
    is_new = STAFF_EMAIL not in memory.logins
    login = memory.login(STAFF_EMAIL)
    if is_new:
        with step("The operator makes a member of staff (flask staff create)") as making:
            _make_staff(login)
            memory.save()
            making.note = login.email
    with step("They sign in"):
        sign_in(browser, login)


def sign_in(browser: Browser, login: Login) -> None:
    """Raises DemoFailed where the portal does not let them in."""
    page = browser.open("/login")
    answer = browser.submit(page, page.form(having="password"), email=login.email, password=login.password)
    if answer.path == "/login":
        raise DemoFailed(f"{login.email} could not sign in. {answer.complaint()}")


def _make_staff(login: Login) -> None:
    command = [
        *(sys.executable, "-m", "flask", "--app", "wsgi", "staff", "create", "Fatima Haddad"),
        *("--email", login.email, "--role", "admin"),
    ]
    environ = {**os.environ, "ADAPTARY_PASSWORD": login.password}  # a command line can be read by everybody
    result = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    if result.returncode:
        raise DemoFailed(f"The member of staff could not be made: {result.stderr.strip()}")
