"""Monthly recurring revenue: the fees in force of the plans that tenants are on."""

import csv
import io
from decimal import Decimal

from billing.plans import subscribe
from billing.recurring import fees_csv, monthly_cents, recurring_fees
from tests.billing.months import FEBRUARY, JANUARY, MARCH, old_tenant


def test_fees_are_those_of_the_plans_held_at_the_moment(db):
    old_tenant(db)
    first, _second = old_tenant(db, "starter"), old_tenant(db, "starter")
    subscribe(db, first.id, "scale", FEBRUARY.start)

    def found(at):
        return {one.plan.code: (one.fee, len(one.tenants)) for one in recurring_fees(db, at)}

    starter, scale = Decimal(2900), recurring_fees(db, MARCH.start)[-1].fee
    assert found(JANUARY.start) == {"trial": (0, 1), "starter": (starter, 2)}
    assert found(FEBRUARY.start) == {"trial": (0, 1), "starter": (starter, 1), "scale": (scale, 1)}
    assert monthly_cents(recurring_fees(db, FEBRUARY.start)) == {"USD": starter + scale}


def test_the_csv_has_each_tenants_fee(db):
    tenant = old_tenant(db, "starter")
    (row,) = csv.DictReader(io.StringIO(fees_csv(recurring_fees(db, JANUARY.start))))
    assert (row["tenant"], row["plan"], row["fee_cents"]) == (tenant.name, "starter", "2900")
