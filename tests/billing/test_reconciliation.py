"""The ledger and the invoices agree on every token, or the difference is shown."""

from billing.close import close_month
from billing.reconciliation import balance
from billing.terms import USAGE_KINDS
from core.models.billing import PriceKind
from core.models.usage import UsageKind
from tests.billing.months import FEBRUARY, JANUARY, STAFF, after, old_tenant, on, use

NOTHING_LEFT = dict.fromkeys(USAGE_KINDS, 0)


def left(db, month):
    return {one.kind: one.left for one in balance(db, month)}


def test_what_is_recorded_is_left_to_invoice_until_its_month_is_closed(db):
    tenant = old_tenant(db, "starter")
    use(db, tenant, on(3), 500)
    use(db, tenant, on(3), 70, UsageKind.TRAINING)
    use(db, old_tenant(db), on(3, FEBRUARY), 9)
    assert left(db, JANUARY) == NOTHING_LEFT | {PriceKind.PREDICTION: 500, PriceKind.TRAINING: 70}
    close_month(db, JANUARY, STAFF, at=after(JANUARY))
    assert left(db, JANUARY) == NOTHING_LEFT
    assert left(db, FEBRUARY)[PriceKind.PREDICTION] == 9


def test_late_usage_is_left_until_the_next_invoice_has_it(db):
    tenant = old_tenant(db, "starter")
    close_month(db, JANUARY, STAFF, at=after(JANUARY))
    use(db, tenant, on(30), 44)
    prediction, *_ = balance(db, JANUARY)
    assert (prediction.recorded, prediction.invoiced, prediction.left) == (44, 0, 44)
    close_month(db, FEBRUARY, STAFF, at=after(FEBRUARY))
    assert left(db, JANUARY)[PriceKind.PREDICTION] == 0
