"""Money: what a tenant sees of its usage, and how the operator's finance invoices it and collects."""

import os
from pathlib import Path

from stack.demo.browser import Browser, DemoFailed, Page
from stack.demo.console import say, step, table
from stack.demo.stories import STORIES

_FOLDER = "demo"


def put_on_plan(staff: Browser, company: str, plan: str) -> None:
    """Have the operator's staff put a tenant on a plan, from now on."""
    with step(f"Adaptary's staff puts {company} on the plan “{plan}”"):
        page = staff.open(staff.open("/operator/tenants").link_to(company))
        staff.submit(page, page.form(action="/plan"), plan=plan, start="now")


def show_usage(browser: Browser) -> None:
    """Print the month's running cost, as the tenant's page shows it."""
    with step("Looks at the month's usage"):
        page = browser.open("/usage")
    for label, value in page.tiles():
        say(f"{label}: {value}")


def invoice_and_collect(browser: Browser) -> None:
    """Invoice the running month, look at the first tenant's invoice, and record its payment."""
    month = _invoice_month(browser)
    invoices = month.find_table("Invoices of")
    if not invoices:
        raise DemoFailed(f"No invoice was made. {month.complaint()}")
    table(invoices)
    company = STORIES[0].company
    number = next(row[0] for row in invoices[1:] if row[1] == company)
    invoice = browser.open(month.link_to(number))
    with step(f"Opens the invoice of {company}, {number}"):
        file = _download_pdf(browser, invoice, number)
    table(invoice.find_table("Lines of the invoice") or [])
    say(f"The PDF is {file}")
    if invoice.find_form("/payments") is not None:
        with step("Records its payment by bank transfer") as paying:
            form = invoice.form(action="/payments")
            invoice = browser.submit(invoice, form, reference="Transfer of the demo")
            paying.note = invoice.badge()


def _invoice_month(browser: Browser) -> Page:
    """The running month's page, with its invoices. Months end by themselves; a demo does not wait for that."""
    page = browser.open("/operator/invoices/month")
    form = page.find_form("/invoice-now")
    if form is None:
        say("The month is invoiced already, from an earlier run; what came since goes on the next invoices.")
        return page
    with step("Invoices the running month as it stands"):
        return browser.submit(page, form)


def _download_pdf(browser: Browser, invoice: Page, number: str) -> Path:
    response = browser.download(invoice.link_to("Download PDF"))
    if not response.content.startswith(b"%PDF"):
        raise DemoFailed(f"The PDF of invoice {number} is no PDF.")
    folder = Path(os.environ["STATE_DIR"]) / _FOLDER
    folder.mkdir(exist_ok=True)
    file = folder / f"invoice-{number}.pdf"
    file.write_bytes(response.content)
    return file
