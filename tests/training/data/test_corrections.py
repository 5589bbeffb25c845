"""Corrections of an upload's findings: kept sealed, honoured by check and import, and gone with the upload."""

import json
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import func, select, text

from core.db import operator_session, tenant_session
from core.models.audit import AuditEvent
from core.models.datasets import DatasetStatus, DatasetVersion, FindingCorrection
from core.privacy.policies import change_policy, list_value
from core.tenancy import Permission, PermissionDenied, TenantScope, system_scope
from tests.datasets import accept, check, get, upload
from training.data import corrections, datasets
from training.data.corrections import CorrectionError, correct, corrections_of, is_outdated, withdraw
from training.data.rows import TextRow

MAIL = "jane@example.com"
ROWS = [f"Ticket {number}: ask {MAIL} about the marlin lamp" for number in range(40)]


def as_csv(texts) -> bytes:
    return (
        "text,label\n" + "".join(f"{one},{'ab'[index % 2]}\n" for index, one in enumerate(texts))
    ).encode()


@pytest.fixture
def scope(make_tenant) -> TenantScope:
    return system_scope(make_tenant().id, "test")


@pytest.fixture
def version(scope) -> DatasetVersion:
    """An upload in review, of a tenant that wants e-mail addresses found: how names are found is tested elsewhere."""
    with tenant_session(scope) as session:
        change_policy(session, scope, entities=["EMAIL_ADDRESS"])
        session.commit()
    checked = check(scope, upload(scope, as_csv(ROWS)))
    assert checked.status is DatasetStatus.REVIEW, checked.error
    return checked


def say(scope, version, value, entity) -> None:
    with tenant_session(scope) as session:
        correct(session, scope, session.get_one(DatasetVersion, version.id), value, entity)
        session.commit()


def said(scope, version) -> list[tuple[str, str | None]]:
    with tenant_session(scope) as session:
        found = corrections_of(session, session.get_one(DatasetVersion, version.id))
    return [(one.value, one.entity) for one in found]


def stored(scope, version) -> list[str]:
    with tenant_session(scope) as session:
        rows = datasets.iter_rows(session, session.get_one(DatasetVersion, version.id))
        return [row.text for row in rows if isinstance(row, TextRow)]


def personal_data(version) -> dict[str, Any]:
    """The part of the version's report that is about personal data."""
    assert version.report is not None
    found: dict[str, Any] = version.report["personal_data"]
    return found


def test_what_was_corrected_holds_in_the_report_and_in_every_stored_row(scope, version):
    say(scope, version, "JANE@example.com", None)
    say(scope, version, "Marlin", "PERSON")
    say(scope, version, "nowhere to be met", "LOCATION")
    personal = personal_data(check(scope, version.id))
    assert {one["entity"]: one["findings"] for one in personal["entities"]} == {"PERSON": 40}
    assert personal["corrections"] == {"given": 3, "met": 2}

    ready = accept(scope, version.id)
    rows = stored(scope, ready)
    assert len(rows) == 40
    assert all(MAIL in row and "marlin" not in row and "[PERSON_" in row for row in rows)
    assert personal_data(ready)["corrections"] == {"given": 3, "met": 2}


def test_what_was_said_last_of_a_value_counts(scope, version):
    say(scope, version, "Marlin", "PERSON")
    say(scope, version, " MARLIN ", "LOCATION")
    assert said(scope, version) == [("Marlin", "LOCATION")]


def test_a_correction_can_be_taken_back(scope, version):
    say(scope, version, "Marlin", "PERSON")
    with tenant_session(scope) as session:
        withdraw(session, scope, session.scalars(select(FindingCorrection)).one())
        session.commit()
    assert said(scope, version) == []
    assert get(scope, version.id).corrections_revision == 2


def test_the_database_has_no_value_in_the_clear(scope, version):
    say(scope, version, "Ottoline Marlinspike", "PERSON")
    with operator_session("test") as session:
        for table in ("finding_corrections", "audit_events", "dataset_versions"):
            rows = session.scalars(text(f"SELECT row_to_json(t)::text FROM {table} t")).all()
            assert rows
            for row in rows:
                assert "ottoline" not in row.casefold()
                assert b"Ottoline".hex() not in row
    with tenant_session(scope) as session:
        event = session.scalars(select(AuditEvent).filter_by(action="dataset.finding_corrected")).one()
    assert event.detail == {"is_personal": True, "kind": "PERSON", "corrections": 1}


@pytest.mark.parametrize("end", ["accepted", "discarded", "abandoned"])
def test_corrections_go_with_the_upload(scope, version, end):
    say(scope, version, "Marlin", "PERSON")
    if end == "accepted":
        assert accept(scope, version.id).status is DatasetStatus.READY
    elif end == "discarded":
        with tenant_session(scope) as session:
            datasets.discard(session, scope, session.get_one(DatasetVersion, version.id))
            session.commit()
    else:
        with operator_session("test") as session:
            session.execute(text("UPDATE dataset_versions SET created_at = now() - interval '15 days'"))
            assert datasets.discard_abandoned(session) == 1
            session.commit()
    with operator_session("test") as session:
        assert session.scalar(select(func.count()).select_from(FindingCorrection)) == 0


def test_only_a_version_in_review_is_corrected(scope, version):
    ready = accept(scope, version.id)
    with tenant_session(scope) as session, pytest.raises(CorrectionError, match="is ready by now"):
        correct(session, scope, session.get_one(DatasetVersion, ready.id), "Marlin", "PERSON")


def test_who_may_not_change_the_policy_adds_protection_and_takes_none_away(scope, version):
    developer = replace(scope, permissions=frozenset({Permission.DATASETS_READ, Permission.DATASETS_WRITE}))
    say(developer, version, "Marlin", "PERSON")
    with pytest.raises(PermissionDenied):
        say(developer, version, MAIL, None)
    with pytest.raises(PermissionDenied):
        say(replace(scope, permissions=frozenset({Permission.DATASETS_READ})), version, "Lamp", "PERSON")
    assert said(scope, version) == [("Marlin", "PERSON")]


def test_a_correction_that_cannot_be_says_beside_which_field(scope, version):
    for value in ("", "x", "x" * 501, "!? —", "a\0b"):
        with pytest.raises(CorrectionError) as raised:
            say(scope, version, value, "PERSON")
        assert raised.value.field == "value", value
    with pytest.raises(CorrectionError) as raised:
        say(scope, version, "Marlin", "NO_SUCH_KIND")
    assert raised.value.field == "entity"
    assert get(scope, version.id).corrections_revision == 0


def test_there_is_a_most_of_corrections(scope, version, monkeypatch):
    monkeypatch.setattr(corrections, "MAX_CORRECTIONS", 1)
    say(scope, version, "Marlin", "PERSON")
    with pytest.raises(CorrectionError, match="corrections already"):
        say(scope, version, "Lamp", "PERSON")


def test_a_report_is_outdated_once_findings_or_policy_have_changed(scope, version):
    def outdated() -> bool:
        with tenant_session(scope) as session:
            return is_outdated(session, session.get_one(DatasetVersion, version.id))

    assert not outdated()
    say(scope, version, "Marlin", "PERSON")
    assert outdated()
    check(scope, version.id)
    assert not outdated()
    with tenant_session(scope) as session:
        list_value(session, scope, MAIL, denied=False)
        session.commit()
    assert outdated()
    assert personal_data(check(scope, version.id))["policy_version"] == 2
    assert not outdated()


def test_where_the_search_fails_nothing_is_stored_and_it_is_said_to_be_our_fault(scope, version, monkeypatch):
    def fail():
        raise RuntimeError(MAIL)

    monkeypatch.setattr("core.privacy.engines.patterns", fail)
    failed = accept(scope, version.id)
    assert (failed.status, failed.blob and failed.digest) == (DatasetStatus.FAILED, None)
    assert "on our side" in (failed.error or "")
    assert MAIL not in (failed.error or "")


def test_another_tenants_corrections_are_not_seen(scope, version, make_tenant):
    say(scope, version, "Marlin", "PERSON")
    other = system_scope(make_tenant().id, "test")
    with tenant_session(other) as session:
        assert session.scalars(select(FindingCorrection)).all() == []


def test_a_report_holds_no_value_that_was_corrected(scope, version):
    say(scope, version, "Marlin", "PERSON")
    assert "marlin" not in json.dumps(check(scope, version.id).report).casefold()
