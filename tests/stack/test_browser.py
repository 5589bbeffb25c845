"""The main job through the pages, in a real browser: from signing up to an invoice whose payment finance records."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from stack.child import ROOT
from tests.chromium import needs_chromium
from tests.stack.serving import Stack

PASSWORD = "correct horse battery"
JOB_MILLISECONDS = 900_000

pytestmark = [pytest.mark.xdist_group("whole stack"), needs_chromium]


def open_portal(browser: Browser, stack: Stack) -> tuple[Page, list[str]]:
    """A new visitor's page, and the errors that it meets: of scripts, and what the security policy stops."""
    page = browser.new_context(base_url=f"http://127.0.0.1:{stack.environ['WEB_PORT']}").new_page()
    page.set_default_timeout(30_000)
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
    return page, troubles


def test_the_whole_job_through_the_pages(stack: Stack, browser: Browser) -> None:
    stack.start()
    page, troubles = open_portal(browser, stack)
    staff, staffs_troubles = open_portal(browser, stack)
    sign_up(page)
    sign_in_as_staff(staff, stack)
    put_on_a_plan(staff)
    upload(page, ROOT / "examples" / "support_messages.csv")
    fine_tune(page)
    make_key(page)
    ask_in_the_playground(page)
    expect_usage(page)
    invoice_and_collect(staff)
    page.goto("/invoices")
    expect(page.get_by_role("table")).to_contain_text("Paid")
    assert troubles == []
    assert staffs_troubles == []


def sign_up(page: Page) -> None:
    page.goto("/signup")
    page.get_by_label("Company").fill("Larkspur Home")
    page.get_by_label("Your name").fill("Ada Okafor")
    page.get_by_label("E-mail").fill("ada@larkspur.example")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("I accept the terms of service").check()
    page.get_by_role("button", name="Create tenant").click()
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()


def upload(page: Page, file: Path) -> None:
    page.goto("/datasets/new")
    page.get_by_label("Name").fill("Support messages")
    page.locator("input[type=file]").set_input_files(file)
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_role("heading", name="Which column is what?")).to_be_visible()
    expect(page.get_by_label("Text")).to_have_value("text")
    expect(page.get_by_label("Label")).to_have_value("label")
    page.get_by_role("button", name="Check the data").click()
    accept = page.get_by_role("button", name="Accept")
    accept.wait_for(timeout=JOB_MILLISECONDS)
    expect(page.get_by_role("heading", name="Personal data")).to_be_visible()
    accept.click()
    page.get_by_role("link", name="Fine-tune a model").wait_for(timeout=JOB_MILLISECONDS)


def fine_tune(page: Page) -> None:
    page.get_by_role("link", name="Fine-tune a model").click()
    page.get_by_role("combobox", name="Model", exact=True).fill("support")
    page.get_by_text("Advanced settings").click()
    page.get_by_label("Seed").fill("1")
    page.get_by_role("button", name="Review").click()
    expect(page.get_by_role("main")).to_contain_text("Training tokens", timeout=JOB_MILLISECONDS)
    page.get_by_role("button", name="Launch").click()
    page.get_by_role("link", name="Open the model").wait_for(timeout=JOB_MILLISECONDS)
    expect(page.get_by_role("table", name="Test results by label")).to_contain_text("refund_request")
    page.get_by_role("link", name="Open the model").click()
    expect(page.get_by_role("heading", name="support", exact=True)).to_be_visible()
    expect(page.get_by_role("main")).to_contain_text("Live")


def make_key(page: Page) -> None:
    page.goto("/keys")
    page.get_by_label("Name").fill("Help desk")
    page.get_by_role("button", name=re.compile("Create")).click()
    expect(page.locator("#api-key")).to_have_text(re.compile(r"^ad_live_"))


def ask_in_the_playground(page: Page) -> None:
    page.goto("/playground")
    page.get_by_role("textbox", name="Text", exact=True).fill(
        "Where is my parcel? Yours, Jane Roe, jane.roe@example.com"
    )
    page.get_by_role("button", name="Classify").click()
    answer = page.get_by_label("Answer")
    expect(answer).to_contain_text("support, version 1")
    written, read = ["Jane Roe", "jane.roe@example.com"], ["[PERSON]", "[EMAIL_ADDRESS]"]
    expect(answer.locator("mark")).to_have_text([*written, *read])


def expect_usage(page: Page) -> None:
    page.goto("/usage")
    expect(page.get_by_role("main")).to_contain_text("support")


def sign_in_as_staff(page: Page, stack: Stack) -> None:
    made = stack.command("staff", "create", "Joan", "--email", "joan@operator.example")
    assert made.returncode == 0, made.stderr
    page.goto("/login")
    page.get_by_label("E-mail").fill("joan@operator.example")
    page.get_by_label("Password").fill(json.loads(made.stdout)["password"])
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Tenants")).to_be_visible()


def put_on_a_plan(page: Page) -> None:
    page.get_by_role("link", name="Larkspur Home").click()
    page.get_by_label("Plan", exact=True).select_option("pay-as-you-go")
    page.get_by_label(re.compile("^Now")).check()
    page.get_by_role("button", name="Change plan").click()
    page.get_by_role("alertdialog").get_by_role("button", name="Change the plan").click()
    expect(page.get_by_role("main")).to_contain_text("Pay as you go")


def invoice_and_collect(page: Page) -> None:
    page.goto("/operator/invoices/month")
    page.get_by_role("button", name=re.compile("^Invoice .* now$")).click()
    page.get_by_role("alertdialog").get_by_role("button", name="Make 1 invoice").click()
    page.get_by_role("table", name=re.compile("^Invoices of")).get_by_role("link").first.click()
    expect(page.get_by_role("main")).to_contain_text("The lines add up to the total.")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download PDF").click()
    assert download.value.path().read_bytes().startswith(b"%PDF")
    page.get_by_label("Payment's reference").fill("Transfer 4711")
    page.get_by_role("button", name="Record the payment").click()
    expect(page.get_by_role("main")).to_contain_text("Transfer 4711")
