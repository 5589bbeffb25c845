"""The API with a pool behind it."""

from tests.inference.conftest import Caller


def test_with_database_redis_and_pool_the_api_is_ready(caller: Caller) -> None:
    response = caller.get("/readyz")
    assert response.status_code == 200
    assert response.json == {"ready": True, "database": "ok", "redis": "ok", "pool": "ok"}
