"""The portal under test, and people signed in to it."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient

from core.db import operator_session, tenant_session
from core.models.users import User
from core.passwords import hash_password
from core.tenancy import Role, StaffRole, TenantScope, system_scope
from portal import accounts

PASSWORD = "correct horse battery"
_numbers = count(1)


@dataclass(frozen=True)
class Person:
    """Somebody signed in: their client, and for a tenant's user the scope of their tenant."""

    client: FlaskClient
    email: str
    scope: TenantScope | None = None
    user_id: UUID | None = None


@pytest.fixture(scope="session")
def portal(services) -> Flask:
    """The portal's app without CSRF checks, which have a test of their own."""
    from portal.app import create_portal

    app = create_portal()
    app.config.update(TESTING=True, WTF_CSRF_ENABLED=False, RATELIMIT_ENABLED=False)
    return app


@pytest.fixture
def client(portal: Flask) -> FlaskClient:
    """Somebody who is not signed in."""
    return portal.test_client()


@pytest.fixture(scope="session")
def password_hash() -> str:
    return hash_password(PASSWORD)


@pytest.fixture
def sign_in(portal: Flask) -> Callable[[str], FlaskClient]:
    """`sign_in(email)`: a client signed in with PASSWORD."""

    def sign_in(email: str) -> FlaskClient:
        client = portal.test_client()
        response = client.post("/login", data={"email": email, "password": PASSWORD})
        assert response.status_code == 303, response.get_data(as_text=True)
        return client

    return sign_in


@pytest.fixture
def admin(sign_in) -> Person:
    """The admin of a new tenant."""
    return new_admin(sign_in)


@pytest.fixture
def other_admin(sign_in) -> Person:
    """The admin of another new tenant."""
    return new_admin(sign_in)


def new_admin(sign_in: Callable[[str], FlaskClient]) -> Person:
    email = f"admin{next(_numbers)}@example.com"
    with operator_session("test") as session:
        tenant, user = accounts.sign_up(
            session, tenant_name=f"Tenant {email}", name="Ada", email=email, password=PASSWORD
        )
        session.commit()
    return Person(sign_in(email), email, system_scope(tenant.id, "test"), user.id)


@pytest.fixture
def member(admin: Person, sign_in, password_hash: str) -> Callable[[Role], Person]:
    """`member(role)`: another user of `admin`'s tenant."""

    def member(role: Role) -> Person:
        assert admin.scope is not None
        email = f"{role}{next(_numbers)}@example.com"
        with tenant_session(admin.scope) as session:
            user = User(
                tenant_id=admin.scope.tenant_id,
                name="Grace",
                email=email,
                password_hash=password_hash,
                role=role,
            )
            session.add(user)
            session.commit()
        return Person(sign_in(email), email, admin.scope, user.id)

    return member


@pytest.fixture
def staff(sign_in) -> Callable[[StaffRole], Person]:
    """`staff(role)`: one of the operator's staff."""

    def staff(role: StaffRole = StaffRole.ADMIN) -> Person:
        email = f"staff{next(_numbers)}@example.com"
        with operator_session("test") as session:
            member = accounts.create_staff(session, email=email, name="Joan", password=PASSWORD, role=role)
            session.commit()
        return Person(sign_in(email), email, None, member.id)

    return staff
