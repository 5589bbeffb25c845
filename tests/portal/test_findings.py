"""Personal data in an upload under review, looked through and corrected in the portal."""

import re
from html import unescape
from uuid import uuid4

import pytest
from sqlalchemy import select

from core.db import tenant_session
from core.models.datasets import DatasetStatus, FindingCorrection
from core.privacy.policies import change_policy, current_policy
from core.tenancy import Role
from stack.ports import HOST, free_port
from tests.chromium import needs_chromium
from tests.datasets import accept, check, get, upload
from tests.people import PASSWORD
from tests.portal.served import serving

MAIL = "jane@example.com"
TEXTS = [f"Ticket {n}: write to {MAIL}" if n % 2 else f"The marlin lamp {n} is fine" for n in range(1, 41)]


def as_csv(texts=TEXTS) -> bytes:
    return (
        "text,label\n" + "".join(f'"{one}",{"ab"[index // 2 % 2]}\n' for index, one in enumerate(texts))
    ).encode()


@pytest.fixture
def version_id(admin):
    """An upload in review, of a tenant that wants e-mail addresses found: how names are found is tested elsewhere."""
    want(admin)
    found = upload(admin.scope, as_csv())
    assert check(admin.scope, found).status is DatasetStatus.REVIEW
    return found


def want(admin, **values) -> None:
    with tenant_session(admin.scope) as session:
        change_policy(session, admin.scope, entities=["EMAIL_ADDRESS"], **values)
        session.commit()


def path(version_id, query="") -> str:
    return f"/datasets/versions/{version_id}/findings{query}"


def page(person, address) -> str:
    response = person.client.get(address, follow_redirects=True)
    assert response.status_code == 200
    return unescape(response.get_data(as_text=True))


def rows_on(text: str) -> list[int]:
    return [int(number) for number in re.findall(r'<article class="card" aria-label="Row (\d+)"', text)]


def marks(text: str) -> list[str]:
    return re.findall(r'<mark class="entity"[^>]*>([^<]*)</mark>', text)


def say(person, version_id, value, entity, where="file"):
    return person.client.post(path(version_id), data={"value": value, "entity": entity, "where": where})


def values_said(scope) -> int:
    with tenant_session(scope) as session:
        return len(session.scalars(select(FindingCorrection)).all())


def test_rows_are_shown_before_and_after_and_kept_by_no_cache(admin, version_id):
    response = admin.client.get(path(version_id))
    shown = unescape(response.get_data(as_text=True))
    assert response.headers["Cache-Control"] == "no-store"
    assert rows_on(shown) == [1, 3, 5, 7, 9, 11, 13, 15, 17, 19]
    before_mail = [mark for mark in marks(shown) if mark == MAIL]
    after_mail = {mark for mark in marks(shown) if mark.startswith("[EMAIL_ADDRESS_")}
    assert len(before_mail) == 10
    assert len(after_mail) == 1, "one value, one pseudonym"


def test_the_report_leads_to_the_rows_and_shows_what_will_stand_there(admin, version_id):
    want(admin, operators={"EMAIL_ADDRESS": "drop"})
    check(admin.scope, version_id)
    report = page(admin, f"/datasets/versions/{version_id}")
    assert path(version_id) in report
    assert set(marks(report)) == {"j***@e***", "…"}


def test_pages_go_on_where_the_last_one_ended(admin, version_id):
    shown = page(admin, path(version_id))
    assert "from=21" in shown
    assert rows_on(page(admin, path(version_id, "?from=21"))) == list(range(21, 41, 2))
    assert rows_on(page(admin, path(version_id, "?all=1&from=5"))) == list(range(5, 15))
    assert rows_on(page(admin, path(version_id, "?kind=EMAIL_ADDRESS&from=31"))) == [31, 33, 35, 37, 39]
    for nonsense in ("?kind=NO_SUCH", "?from=x", "?from=-3", "?_external=1&version_id=1"):
        assert rows_on(page(admin, path(version_id, nonsense)))[0] == 1


def test_a_long_row_is_cut_and_ends_the_page(admin):
    want(admin)
    texts = [f"Mail {MAIL} {number}. " + "Nothing else to say here. " * 400 for number in range(40)]
    version_id = upload(admin.scope, as_csv(texts))
    check(admin.scope, version_id)
    shown = page(admin, path(version_id))
    assert rows_on(shown) == [1]
    assert "its beginning; the import looks at all of it" in shown
    assert "from=2" in shown


def test_a_correction_shows_in_the_rows_at_once_and_in_the_report_when_checked_again(admin, version_id):
    assert say(admin, version_id, MAIL, "none").status_code == 303
    assert say(admin, version_id, "Marlin", "PERSON").status_code == 303
    shown = page(admin, path(version_id, "?all=1"))
    assert MAIL not in marks(shown)
    assert "marlin" in marks(shown)
    assert "Not in the report yet" in shown
    review = page(admin, f"/datasets/versions/{version_id}")
    assert "This report is from before" in review

    check(admin.scope, version_id)
    review = page(admin, f"/datasets/versions/{version_id}")
    assert "This report is from before" not in review
    assert "2 of 2 corrections met their value" in review
    accept(admin.scope, version_id)
    ready = page(admin, f"/datasets/versions/{version_id}")
    assert f"write to {MAIL}" in ready
    assert "can no longer be corrected" in ready


def test_a_correction_is_taken_back(admin, version_id):
    say(admin, version_id, "Marlin", "PERSON")
    shown = page(admin, path(version_id))
    [undo] = re.findall(r'action="([^"]*/corrections/[^"]*/withdraw)"', shown)
    assert admin.client.post(undo).status_code == 303
    assert values_said(admin.scope) == 0


def test_the_policys_lists_are_changed_from_a_finding(admin, version_id):
    assert say(admin, version_id, MAIL, "none", "policy").status_code == 303
    assert say(admin, version_id, "Marlin lamp", "PERSON", "policy").status_code == 303
    with tenant_session(admin.scope) as session:
        policy = current_policy(session, admin.scope.tenant_id)
    assert (policy.allow_list, policy.deny_list) == (frozenset({MAIL}), frozenset({"Marlin lamp"}))
    assert values_said(admin.scope) == 0
    assert "on your" in page(admin, path(version_id, "?all=1"))


def test_what_cannot_be_said_stands_beside_its_field_and_a_flash_has_no_value(admin, version_id):
    for value, entity, words in (
        ("", "PERSON", "Give a value"),
        ("?", "PERSON", "Give a value of 2 to 500"),
        ("Marlin", "NO_SUCH", "Not a valid choice"),
    ):
        response = say(admin, version_id, value, entity)
        assert response.status_code == 422
        assert words in response.get_data(as_text=True)
    say(admin, version_id, "Marlinspike", "PERSON")
    with admin.client.session_transaction() as session:
        assert "Marlinspike" not in str(dict(session))


def test_a_developer_adds_protection_and_an_admin_alone_takes_it_away(admin, member, version_id):
    developer = member(Role.DEVELOPER)
    shown = page(developer, path(version_id))
    assert MAIL in marks(shown)
    assert "Not personal data" not in shown
    assert say(developer, version_id, "Marlin", "PERSON").status_code == 303
    assert say(developer, version_id, MAIL, "none").status_code == 422
    assert say(developer, version_id, "Halden", "PERSON", "policy").status_code == 303
    with tenant_session(admin.scope) as session:
        assert current_policy(session, admin.scope.tenant_id).version == 1
    assert values_said(admin.scope) == 2


@pytest.mark.parametrize("role", [Role.VIEWER, Role.FINANCE])
def test_who_may_only_read_datasets_sees_no_original(member, version_id, role):
    person = member(role)
    assert person.client.get(path(version_id)).status_code == 403
    assert path(version_id) not in page(person, f"/datasets/versions/{version_id}")


def test_a_version_that_is_not_in_review_is_not_corrected(admin, version_id):
    accept(admin.scope, version_id)
    assert "Findings can be corrected while" in page(admin, path(version_id))
    assert say(admin, version_id, "Marlin", "PERSON").status_code == 303
    assert get(admin.scope, version_id).corrections_revision == 0


def test_another_tenants_rows_and_corrections_do_not_exist(admin, other_admin, version_id):
    say(admin, version_id, "Marlin", "PERSON")
    with tenant_session(admin.scope) as session:
        correction = session.scalars(select(FindingCorrection)).one().id
    assert other_admin.client.get(path(version_id)).status_code == 404
    assert say(other_admin, version_id, "Marlin", "PERSON").status_code == 404
    own = upload(other_admin.scope, as_csv())
    for version in (version_id, own):
        undo = path(version, f"/corrections/{correction}/withdraw")
        assert other_admin.client.post(undo).status_code == 404
    other_version = upload(admin.scope, as_csv())
    assert admin.client.post(path(other_version, f"/corrections/{correction}/withdraw")).status_code == 404
    assert admin.client.post(path(version_id, f"/corrections/{uuid4()}/withdraw")).status_code == 404
    assert values_said(admin.scope) == 1


@needs_chromium
def test_words_that_are_selected_in_an_original_stand_in_the_form(browser, portal, admin, version_id):
    port = free_port()
    with serving(portal, port):
        page = browser.new_context(base_url=f"http://{HOST}:{port}").new_page()
        page.goto("/login")
        page.get_by_label("E-mail").fill(admin.email)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.goto(path(version_id, "?all=1"))
        page.locator("[data-original]").filter(has_text="marlin").first.get_by_text("marlin").dblclick(
            position={"x": 45, "y": 16}
        )
        selected = page.evaluate("document.getSelection().toString().trim()")
        assert selected
        assert page.get_by_label("Value", exact=True).input_value() == selected
