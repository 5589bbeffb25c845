"""From a dataset version to a model that answers: estimate, launch, watch, and read what came out."""

import time

from stack.demo.browser import Browser, DemoFailed, Page
from stack.demo.console import say, step, table
from stack.demo.polling import reload_while
from stack.demo.stories import Story

_ESTIMATE_SECONDS = 120.0
_RUNNING = frozenset({"queued", "preparing", "training", "evaluating"})


def find_model(browser: Browser, story: Story) -> Page | None:
    """The page of the story's model, where a fine-tune has made it; its status is “live” if a version answers."""
    path = browser.open("/models").link(prefix="/models/", text=story.model)
    return None if path is None else browser.open(path)


def fine_tune(browser: Browser, story: Story, version: Page) -> None:
    """Fine-tune the story's model on a dataset version, and print what became of it and its evaluation."""
    review = _review(browser, story, version)
    with step("Launches the fine-tune, which a worker takes") as running:
        page = browser.submit(review, review.form(having="csrf_token", action="/fine-tunes"))
        page = reload_while(browser, page, _RUNNING, running)
        if page.status_word != "succeeded":
            raise DemoFailed(f"The fine-tune ended {page.status_word}. {page.complaint()}")
        running.note = "succeeded"
    say(page.element("div", class_="alert").text)
    for label, value in page.tiles():
        say(f"{label}: {value}")
    if per_class := page.find_table("Test results by label"):
        table(per_class)


def _review(browser: Browser, story: Story, version: Page) -> Page:
    """Choose data and model, and wait for what it will take."""
    with step(f"Chooses to fine-tune the model “{story.model}”") as choosing:
        page = browser.open(version.link_to("Fine-tune a model"))
        form = page.form(having="model_name")
        review = browser.submit(page, form, model_name=story.model)
        give_up = time.monotonic() + _ESTIMATE_SECONDS
        while not (facts := _estimate(review)) and time.monotonic() < give_up:
            choosing.progress(None, "a dry run measures time and cost")
            time.sleep(1)
            review = browser.open(review.address)
        choosing.note = ", ".join(facts) or "without an estimate, which was not ready in time"
    return review


def _estimate(review: Page) -> list[str]:
    """What the fine-tune will take, as “time about 40 s”; nothing while that is being measured."""
    estimate = review.element(id="estimate")
    if (alert := estimate.find("div", class_="alert")) is not None:
        return [alert.text]
    facts = estimate.find("dl")
    if facts is None:
        return []
    names, values = facts.find_all("dt"), facts.find_all("dd")
    return [f"{name.text.lower()} {value.text}" for name, value in zip(names, values, strict=True)]
