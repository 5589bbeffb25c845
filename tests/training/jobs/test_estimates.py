"""Estimates: asked for by the web, measured by a worker, found by whoever asked."""

import json
from dataclasses import replace

import pytest

from core.db import tenant_session
from core.models.datasets import DatasetStatus
from core.queues import Queue, rq_queue
from core.tenancy import ROLE_PERMISSIONS, PermissionDenied, Role
from tests.training.jobs.recipes import fail_with
from training import estimates
from training.errors import JobError
from training.estimates import MEASURE, MOST_WAITING, Estimate, Measuring
from training.recipe.errors import RecipeError
from training.recipe.result import Measurement
from training.recipe.settings import FineTuneSettings

SETTINGS = FineTuneSettings(epochs=2)


def request(workshop, settings=SETTINGS, scope=None):
    with tenant_session(workshop.scope) as session:
        estimates.request(session, scope or workshop.scope, workshop.version, settings)


def find(workshop, settings=SETTINGS):
    return estimates.find(workshop.scope, workshop.version, settings)


def rings():
    return rq_queue(Queue.DATASETS).jobs


def work(workshop, recipe, settings=SETTINGS):
    """What training.tasks.measure_estimate does, with `recipe` for the real one."""
    measuring = Measuring.start(workshop.scope.tenant_id, workshop.version.id, settings)
    assert measuring is not None
    measuring.finish(estimates.measure(workshop.scope, workshop.version.id, settings, recipe, measuring.beat))


def measure(data, settings, base, beat):
    beat()
    return Measurement(seconds=12.5, training_tokens=len(data.train) * settings.epochs)


def test_an_estimate_is_found_once_a_worker_has_measured_it(workshop):
    request(workshop)
    [ring] = rings()
    assert ring.func_name == MEASURE
    assert ring.args[:2] == [str(workshop.scope.tenant_id), str(workshop.version.id)]
    assert FineTuneSettings.from_json(json.loads(ring.args[2])) == SETTINGS
    assert find(workshop) is None
    work(workshop, measure)
    assert find(workshop) == Estimate(seconds=12.5, training_tokens=16)


def test_what_is_asked_for_or_known_already_is_not_measured_again(workshop):
    request(workshop)
    request(workshop)
    measuring = Measuring.start(workshop.scope.tenant_id, workshop.version.id, SETTINGS)
    assert measuring is not None
    request(workshop)
    measuring.finish(Estimate(1.0, 1))
    request(workshop)
    assert len(rings()) == 1


def test_a_second_ring_for_one_request_measures_nothing(workshop):
    request(workshop)
    work(workshop, measure)
    assert Measuring.start(workshop.scope.tenant_id, workshop.version.id, SETTINGS) is None


def test_other_settings_are_another_estimate(workshop):
    request(workshop)
    work(workshop, measure)
    assert find(workshop, FineTuneSettings(epochs=3)) is None


def test_another_tenant_finds_nothing(workshop, make_workshop):
    request(workshop)
    work(workshop, measure)
    assert estimates.find(make_workshop().scope, workshop.version, SETTINGS) is None


def test_a_measurement_whose_worker_died_can_be_asked_for_again(workshop, redis):
    request(workshop)
    Measuring.start(workshop.scope.tenant_id, workshop.version.id, SETTINGS)
    [key] = redis.keys("estimate:*")
    assert 0 < redis.ttl(key) <= 60
    redis.delete(key)  # as it is once that time has passed
    request(workshop)
    assert len(rings()) == 2


@pytest.mark.parametrize(
    ("error", "words"),
    [(RecipeError("Add rows."), "Add rows."), (ValueError("SECRET"), "could not be made")],
)
def test_what_goes_wrong_is_said_in_plain_words(workshop, error, words, logged):
    request(workshop)
    work(workshop, lambda *_: fail_with(error)())
    found = find(workshop)
    assert found is not None
    assert words in str(found.error)
    assert "SECRET" not in str(found.error) + logged.getvalue()


def test_who_may_not_launch_may_not_have_it_estimated(workshop):
    with pytest.raises(PermissionDenied):
        request(workshop, scope=replace(workshop.scope, permissions=ROLE_PERMISSIONS[Role.VIEWER]))
    assert rings() == []


def test_a_version_that_is_not_ready_is_refused(workshop):
    workshop.version.status = DatasetStatus.IMPORTING
    with pytest.raises(JobError, match="Choose one that is ready"):
        request(workshop)


def test_a_tenant_has_few_estimates_waiting_and_gets_the_next_when_one_is_done(workshop):
    wanted = [FineTuneSettings(epochs=epochs) for epochs in range(1, MOST_WAITING + 2)]
    for settings in wanted:
        request(workshop, settings)
    assert len(rings()) == MOST_WAITING
    work(workshop, measure, wanted[0])
    request(workshop, wanted[-1])
    assert len(rings()) == MOST_WAITING + 1
