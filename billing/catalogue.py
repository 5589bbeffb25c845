"""The first catalogue of plans, which staff change from there on."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from uuid import uuid4

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.models.billing import Plan, PlanPrice, PriceKind

CURRENCY = "USD"

_LAUNCH = datetime(2020, 1, 1, tzinfo=UTC)
_MILLION = 1_000_000


@dataclass(frozen=True)
class _CataloguePlan:
    """A plan as first offered: fee in cents a month, prices in cents a million tokens, quotas in tokens."""

    code: str
    name: str
    description: str
    monthly_fee: int
    prediction: str
    prediction_included: int
    training: str
    training_included: int
    chat_input: str
    chat_input_included: int
    chat_output: str
    chat_output_included: int
    requests_per_minute: int
    tokens_per_minute: int

    def prices(self) -> list[tuple[PriceKind, Decimal, int]]:
        return [
            (PriceKind.PLATFORM, Decimal(self.monthly_fee), 0),
            (PriceKind.MINIMUM, Decimal(0), 0),
            (PriceKind.PREDICTION, Decimal(self.prediction) / _MILLION, self.prediction_included),
            (PriceKind.TRAINING, Decimal(self.training) / _MILLION, self.training_included),
            (PriceKind.CHAT_INPUT, Decimal(self.chat_input) / _MILLION, self.chat_input_included),
            (PriceKind.CHAT_OUTPUT, Decimal(self.chat_output) / _MILLION, self.chat_output_included),
        ]


_CATALOGUE = (
    _CataloguePlan(
        "trial",
        "Free trial",
        "No monthly fee: a first model and its first answers are included.",
        monthly_fee=0,
        prediction="40",
        prediction_included=100_000,
        training="200",
        training_included=500_000,
        chat_input="60",
        chat_input_included=200_000,
        chat_output="240",
        chat_output_included=100_000,
        requests_per_minute=600,
        tokens_per_minute=250_000,
    ),
    _CataloguePlan(
        "pay-as-you-go",
        "Pay as you go",
        "No monthly fee and nothing included: every token has its price.",
        monthly_fee=0,
        prediction="40",
        prediction_included=0,
        training="400",
        training_included=0,
        chat_input="60",
        chat_input_included=0,
        chat_output="240",
        chat_output_included=0,
        requests_per_minute=3000,
        tokens_per_minute=1_000_000,
    ),
    _CataloguePlan(
        "starter",
        "Starter",
        "One team with a few models in production.",
        monthly_fee=29_00,
        prediction="30",
        prediction_included=10 * _MILLION,
        training="150",
        training_included=5 * _MILLION,
        chat_input="45",
        chat_input_included=5 * _MILLION,
        chat_output="180",
        chat_output_included=2 * _MILLION,
        requests_per_minute=3000,
        tokens_per_minute=1_000_000,
    ),
    _CataloguePlan(
        "scale",
        "Scale",
        "Many models and steady traffic, at half the price a token.",
        monthly_fee=299_00,
        prediction="15",
        prediction_included=200 * _MILLION,
        training="75",
        training_included=100 * _MILLION,
        chat_input="22",
        chat_input_included=100 * _MILLION,
        chat_output="90",
        chat_output_included=40 * _MILLION,
        requests_per_minute=12_000,
        tokens_per_minute=10_000_000,
    ),
)


def ensure_plans(session: Session) -> None:
    """Add what is missing of the first catalogue; what is there, and staff may have changed, stays as it is.

    Wants an operator session, which the caller commits.
    """
    for position, plan in enumerate(_CATALOGUE, start=1):
        session.execute(
            insert(Plan)
            .values(
                code=plan.code,
                name=plan.name,
                description=plan.description,
                currency=CURRENCY,
                position=position,
                requests_per_minute=plan.requests_per_minute,
                tokens_per_minute=plan.tokens_per_minute,
            )
            .on_conflict_do_nothing()
        )
        for kind, unit_amount, included in plan.prices():
            session.execute(
                insert(PlanPrice)
                .values(
                    id=uuid4(),
                    plan_code=plan.code,
                    kind=kind,
                    unit_amount=unit_amount,
                    included_quantity=included,
                    effective_from=_LAUNCH,
                )
                .on_conflict_do_nothing(index_elements=["plan_code", "kind", "effective_from"])
            )
