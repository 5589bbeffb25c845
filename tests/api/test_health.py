"""Whether the API works, and what Prometheus sees of it."""

import pytest

from core.config import get_settings

TOKEN = "metrics-token-" + "x" * 32


@pytest.fixture
def with_token(monkeypatch):
    monkeypatch.setenv("METRICS_TOKEN", TOKEN)
    get_settings.cache_clear()
    yield
    monkeypatch.undo()
    get_settings.cache_clear()


def test_readiness_names_what_is_away(api, monkeypatch):
    monkeypatch.setenv("POOL_URL", "http://127.0.0.1:9")
    get_settings.cache_clear()
    try:
        response = api.test_client().get("/readyz")
    finally:
        monkeypatch.undo()
        get_settings.cache_clear()
    assert response.status_code == 503
    assert response.json == {"ready": False, "database": "ok", "redis": "ok", "pool": "away"}


def test_requests_are_counted_by_plan_and_route_and_never_by_tenant_key_or_path(app):
    app.ask("GET", "/v1/models/somebody's-secret-name")
    counted = app.api.test_client().get("/metrics").get_data(as_text=True)
    assert 'api_requests_total{plan="trial",route="/v1/models/<path:model>",status="404"}' in counted
    for secret in (app.key, str(app.key_id), str(app.scope.tenant_id), "secret-name"):
        assert secret not in counted


@pytest.mark.usefixtures("with_token")
def test_metrics_are_for_whoever_has_the_token(api):
    client = api.test_client()
    assert client.get("/metrics").status_code == 404
    assert client.get("/metrics", headers={"Authorization": "Bearer wrong"}).status_code == 404
    assert client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
