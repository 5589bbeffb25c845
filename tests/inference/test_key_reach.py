"""How far an API key goes: models and endpoints that it is not made for do not exist for it, or are refused."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from core import api_keys
from core.catalogue import DEFAULT_BASE_MODEL, DEFAULT_CHAT_MODEL, Task
from core.clock import now
from core.db import operator_session, tenant_session
from core.models.api_keys import ApiKey, ApiKeyModel
from core.models.batches import Batch, BatchStatus
from core.models.fine_tune_requests import FineTuneRequest
from core.models.models import Model
from core.tenancy import Endpoint, Reach
from inference.gateway.batches.claims import Claim
from inference.gateway.batches.lines import Line
from tests.world import build_world

# None of the models here has a version that answers: who may call one is told so, before any pool is asked.
EXISTS, NONE = 400, 404


@pytest.fixture(scope="module")
def api(services):
    from portal.api.app import create_api

    app = create_api()
    app.config["TESTING"] = True
    return app


@pytest.fixture
def models(admin):
    """Models of `admin`'s tenant by name: two of labels and two of chats."""
    made = {}
    with tenant_session(admin.scope) as session:
        for name, task, base in (
            ("support", Task.CLASSIFICATION, DEFAULT_BASE_MODEL),
            ("sales", Task.CLASSIFICATION, DEFAULT_BASE_MODEL),
            ("faq", Task.CHAT, DEFAULT_CHAT_MODEL),
            ("gossip", Task.CHAT, DEFAULT_CHAT_MODEL),
        ):
            model = Model(tenant_id=admin.scope.tenant_id, name=name, task=task, base_model=base)
            session.add(model)
            session.flush()
            made[name] = model.id
        session.commit()
    return made


class App:
    """An app with a key of its own."""

    def __init__(self, api, scope, **settings) -> None:
        with tenant_session(scope) as session:
            self.key, plain = api_keys.create(session, scope, "test", **settings)
            session.commit()
        self._client = api.test_client()
        self._headers = {"Authorization": f"Bearer {plain}"}

    def post(self, path, body):
        return self._client.post(path, json=body, headers=self._headers)

    def get(self, path):
        return self._client.get(path, headers=self._headers)

    def delete(self, path):
        return self._client.delete(path, headers=self._headers)

    def classify(self, model):
        return self.post("/v1/classify", {"model": model, "input": "Where is my parcel?"})


def reach(*ids, endpoints=None) -> Reach:
    return Reach(frozenset(ids) if ids else None, None if endpoints is None else frozenset(endpoints))


def test_a_model_out_of_reach_is_answered_as_one_that_does_not_exist(api, admin, models):
    app = App(api, admin.scope, reach=reach(models["support"]))
    assert app.classify("support").status_code == EXISTS
    hidden, absent = app.classify("sales"), app.classify("nonesuch")
    assert (hidden.status_code, hidden.get_json()["error"]["code"]) == (NONE, "model_not_found")
    text = hidden.get_data(as_text=True)
    for answer, name in ((hidden, "sales"), (absent, "nonesuch")):
        error = answer.get_json()["error"]
        assert error["message"].replace(name, "NAME") == hidden.get_json()["error"]["message"].replace(
            "sales", "NAME"
        )
    assert "limited" not in text


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/classify", {"model": "sales", "input": "a"}),
        ("/v1/anonymize", {"model": "sales", "input": "a"}),
        ("/v1/embeddings", {"model": DEFAULT_BASE_MODEL, "input": "a"}),
        ("/v1/chat/completions", {"model": "gossip", "messages": [{"role": "user", "content": "a"}]}),
        (
            "/v1/chat/completions",
            {"model": DEFAULT_CHAT_MODEL, "messages": [{"role": "user", "content": "a"}]},
        ),
        ("/hf/sales", {"inputs": "a"}),
        ("/hf/gossip/v1/chat/completions", {"model": "x", "messages": [{"role": "user", "content": "a"}]}),
    ],
)
def test_no_endpoint_knows_a_model_out_of_reach(api, admin, models, path, body):
    assert App(api, admin.scope).post(path, body).get_json().get("error", {}).get("code") != "model_not_found"
    refused = App(api, admin.scope, reach=reach(models["support"], models["faq"])).post(path, body)
    assert (refused.status_code, refused.get_json()["error"]["code"]) == (NONE, "model_not_found")


def test_a_limited_key_lists_and_deletes_its_own_models_only(api, admin, models):
    app = App(api, admin.scope, may_manage=True, reach=reach(models["support"], DEFAULT_BASE_MODEL))
    listed = [model["id"] for model in app.get("/v1/models").get_json()["data"]]
    assert listed == ["support", DEFAULT_BASE_MODEL]
    for name in ("sales", DEFAULT_CHAT_MODEL):
        assert app.get(f"/v1/models/{name}").status_code == NONE
        assert app.delete(f"/v1/models/{name}").status_code == NONE
    assert app.get("/v1/models/support").status_code == 200
    assert app.delete("/v1/models/support").status_code == 200
    assert app.get("/v1/models").get_json()["data"][0]["id"] == DEFAULT_BASE_MODEL


def test_a_limited_key_whose_models_were_all_deleted_reaches_nothing(api, admin, models):
    app = App(api, admin.scope, may_manage=True, reach=reach(models["support"]))
    app.delete("/v1/models/support")
    with operator_session("test") as session:
        session.query(ApiKeyModel).delete()
        session.commit()
    assert app.classify("sales").status_code == NONE
    assert app.get("/v1/models").get_json()["data"] == []


def test_where_no_model_is_named_those_out_of_reach_do_not_count(api, admin, models):
    question = {"question": "Where is my parcel?"}
    app = App(api, admin.scope, reach=reach(models["faq"]), default_model_id=models["faq"])
    assert "no version that answers" in app.post("/predict", question).get_json()["error"]["message"]
    app = App(api, admin.scope, reach=reach(models["support"]))
    assert "no chat model that is ready" in app.post("/predict", question).get_json()["error"]["message"]


def test_the_default_model_is_one_that_the_key_reaches(admin, models):
    with tenant_session(admin.scope) as session, pytest.raises(api_keys.DefaultModelOutOfReach):
        api_keys.create(
            session,
            admin.scope,
            "test",
            reach=reach(models["support"]),
            default_model_id=models["faq"],
        )


def test_a_key_calls_models_by_its_endpoints_only(api, admin, models):
    app = App(api, admin.scope, reach=reach(endpoints=[Endpoint.CLASSIFY]))
    assert app.classify("support").status_code == EXISTS
    chat = {"messages": [{"role": "user", "content": "a"}], "model": "faq"}
    for path, body in (
        ("/v1/chat/completions", chat),
        ("/predict", {"question": "a"}),
        ("/v1/tag", {"model": "support", "input": "a"}),
        ("/v1/embeddings", {"model": DEFAULT_BASE_MODEL, "input": "a"}),
        ("/v1/anonymize", {"input": "a"}),
        ("/hf/faq/v1/chat/completions", chat),
    ):
        refused = app.post(path, body)
        assert refused.status_code == 403, path
        assert "limited to classify" in refused.get_json()["error"]["message"]


def test_a_key_of_one_endpoint_starts_no_batch_for_another(api, admin):
    world = build_world(admin.scope)
    app = App(api, admin.scope, may_manage=True, reach=reach(endpoints=[Endpoint.CLASSIFY]))
    refused = app.post(
        "/v1/batches",
        {
            "input_file_id": world.arguments["file_id"],
            "endpoint": "/v1/tag",
            "completion_window": "24h",
        },
    )
    # A file to train on is no batch's either: which comes first does not matter to the key.
    assert refused.status_code in (400, 403)
    with tenant_session(admin.scope) as session:
        assert session.scalars(select(Batch).where(Batch.endpoint == "/v1/tag")).all() == []


def test_a_batch_reaches_as_far_as_the_key_that_started_it(api, admin, models):
    world = build_world(admin.scope)
    app = App(api, admin.scope, may_manage=True, reach=reach(models["support"]))
    with tenant_session(admin.scope) as session:
        old = session.scalars(select(Batch)).one()
        batch = Batch(
            tenant_id=admin.scope.tenant_id,
            input_file_id=old.input_file_id,
            endpoint="/v1/classify",
            completion_window="24h",
            status=BatchStatus.IN_PROGRESS,
            expires_at=now() + timedelta(hours=1),
            api_key_id=app.key.id,
        )
        session.add(batch)
        session.commit()
    claim = Claim.take(admin.scope.tenant_id, batch.id)
    assert claim is not None
    batching = claim.batching()
    assert batching is not None
    answers = [
        batching.answer(Line(number, 0, str(number), b'{"model": "%s", "input": "a"}' % name))
        for number, name in ((1, b"support"), (2, world.model_name.encode()))
    ]
    assert b"no version that answers" in answers[0].line
    assert b"model_not_found" in answers[1].line


def test_a_limited_key_sees_and_starts_fine_tunes_of_its_models_only(api, admin, models):
    world = build_world(admin.scope)
    wide, narrow = (
        App(api, admin.scope, may_manage=True),
        App(api, admin.scope, may_manage=True, reach=reach(models["support"], DEFAULT_BASE_MODEL)),
    )
    job = f"/v1/fine_tuning/jobs/{world.arguments['fine_tuning_job_id']}"
    assert wide.get(job).status_code == 200
    assert len(wide.get("/v1/fine_tuning/jobs").get_json()["data"]) == 1
    assert narrow.get(job).status_code == narrow.get(f"{job}/events").status_code == NONE
    assert narrow.get("/v1/fine_tuning/jobs").get_json()["data"] == []
    asked = {"training_file": world.arguments["file_id"]}
    for model, more in (
        (world.model_name, {}),
        (DEFAULT_BASE_MODEL, {}),
        (DEFAULT_BASE_MODEL, {"suffix": "new"}),
        (DEFAULT_BASE_MODEL, {"suffix": world.model_name}),
    ):
        refused = narrow.post("/v1/fine_tuning/jobs", {"model": model, **asked, **more})
        assert (refused.status_code, refused.get_json()["error"]["code"]) == (NONE, "model_not_found")
    started = narrow.post("/v1/fine_tuning/jobs", {"model": "support", **asked})
    assert started.status_code == 200
    with tenant_session(admin.scope) as session:
        names = session.scalars(select(FineTuneRequest.model_name)).all()
    assert sorted(names) == sorted([world.model_name, "support"])


def test_a_replaced_key_hands_its_reach_on(api, admin, models):
    app = App(api, admin.scope, reach=reach(models["support"], endpoints=[Endpoint.CLASSIFY]))
    with tenant_session(admin.scope) as session:
        old = session.get_one(ApiKey, app.key.id)
        new, _ = api_keys.replace(session, admin.scope, old, timedelta(hours=1))
        assert api_keys.reach_of(session, new) == api_keys.reach_of(session, old)
        assert api_keys.reach_of(session, new).models == frozenset([models["support"]])
