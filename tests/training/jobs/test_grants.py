"""A grant admits to its own errand, for a while, and to nothing else."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.grants import LIFETIME_SECONDS, Errand, Grantor, InvalidGrant, Use

KEY = b"k" * 32
ERRAND = Errand("tenant-a", "job-1", 2, "version-1", frozenset({Use.READ_ROWS, Use.REPORT}))
NOW = 1000.0


@pytest.fixture
def grantor() -> Grantor:
    return Grantor(ERRAND, KEY)


def reason(grantor: Grantor, grant: object, use: Use = Use.READ_ROWS, now: float = NOW) -> str:
    with pytest.raises(InvalidGrant) as refused:
        grantor.check(grant, use, now)
    return refused.value.reason


def test_a_grant_admits_to_each_of_its_uses_until_it_expires(grantor):
    grant = grantor.grant(NOW)
    for use in ERRAND.uses:
        grantor.check(grant, use, NOW + LIFETIME_SECONDS - 0.001)


def test_it_admits_to_nothing_once_it_has_expired(grantor):
    assert reason(grantor, grantor.grant(NOW), now=NOW + LIFETIME_SECONDS) == "expired"


def test_it_admits_to_no_use_that_it_does_not_name(grantor):
    assert reason(grantor, grantor.grant(NOW), Use.WRITE_ADAPTER) == "use_not_granted"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"tenant": "tenant-b"}, "other_tenant"),
        ({"job": "job-2"}, "other_job"),
        ({"attempt": 1}, "other_attempt"),
        ({"version": "version-2"}, "other_version"),
    ],
)
def test_one_for_another_errand_is_refused_though_its_signature_is_good(grantor, change, expected):
    assert reason(grantor, Grantor(replace(ERRAND, **change), KEY).grant(NOW)) == expected


def test_one_of_another_run_is_refused_since_each_has_a_key_of_its_own(grantor):
    assert reason(grantor, Grantor(ERRAND).grant(NOW)) == "wrong_signature"


def test_claims_cannot_be_changed(grantor):
    claims, _, signature = grantor.grant(NOW).partition(".")
    other, _, _ = Grantor(replace(ERRAND, uses=frozenset(Use)), KEY).grant(NOW).partition(".")
    assert reason(grantor, f"{other}.{signature}") == "wrong_signature"
    assert reason(grantor, f"{claims}.") == "wrong_signature"


@given(grant=st.one_of(st.none(), st.integers(), st.text(), st.text(alphabet="abcXYZ019-_.=", max_size=200)))
def test_what_is_no_grant_is_refused(grant):
    assert reason(Grantor(ERRAND, KEY), grant) in ("malformed_grant", "wrong_signature")
