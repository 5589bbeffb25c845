"""From a file of labeled texts to a dataset version that models can be trained on."""

from stack.demo.browser import Browser, DemoFailed, Page
from stack.demo.console import say, step, table
from stack.demo.polling import reload_while
from stack.demo.stories import Story

_TABLE_ROWS = 8


def prepare_dataset(browser: Browser, story: Story) -> Page:
    """Upload the story's file, have it checked, look at the report and accept it; returns the version's page."""
    page = _upload(browser, story)
    page = _check(browser, page)
    _show_report(page)
    return _accept(browser, page)


def _upload(browser: Browser, story: Story) -> Page:
    content = story.file.read_bytes()
    with step(f"Uploads {story.file.name}") as uploading:
        page = browser.open("/datasets/new")
        answer = browser.upload(
            page,
            page.form(having="file"),
            "file",
            story.file.name,
            content,
            lambda sent: uploading.progress(sent / len(content), "sent"),
            name=story.dataset,
        )
        if not answer.path.endswith("/columns"):
            raise DemoFailed(f"The upload of {story.file.name} was refused. {answer.complaint()}")
        columns = [f"{role} is “{name}”" for role, name in _columns(answer) if name]
        uploading.note = f"{len(content):,} bytes; {', '.join(columns)}"
    return answer


def _columns(page: Page) -> list[tuple[str, str]]:
    """What the columns were recognised as."""
    chosen = page.form(action="/check").values
    return [(role, chosen.get(role, "")) for role in ("task", "text", "label")]


def _check(browser: Browser, page: Page) -> Page:
    with step("The data is checked") as checking:
        page = browser.submit(page, page.form(action="/check"))
        page = reload_while(browser, page, {"checking"}, checking)
        if page.status_word != "review":
            raise DemoFailed(f"The check ended {page.status_word}. {page.complaint()}")
        checking.note = ", ".join(f"{value} {label.lower()}" for label, value in page.tiles()[:2])
    return page


def _show_report(page: Page) -> None:
    for finding in page.root.find_all("h3"):
        say(f"· {finding.text}")
    personal = page.find_table("Personal data by kind")
    if personal is not None:
        table(personal, limit=_TABLE_ROWS)


def _accept(browser: Browser, page: Page) -> Page:
    with step("Accepts it: personal data is replaced, rows are split") as accepting:
        page = browser.submit(page, page.form(action="/accept"))
        page = reload_while(browser, page, {"importing"}, accepting)
        if page.status_word != "ready":
            raise DemoFailed(f"The import ended {page.status_word}. {page.complaint()}")
        splits = page.find_table("Rows in each split") or []
        accepting.note = ", ".join(f"{row[-1].split()[0]} {row[0].lower()}" for row in splits[1:])
    if row := _row_with_a_name(page):
        say(f"A row as it is stored: {row}")
    return page


def _row_with_a_name(page: Page) -> str | None:
    rows = page.find_table("The first rows") or []
    return next((row[1] for row in rows[1:] if "[PERSON_" in row[1]), None)
