"""Members: inviting, roles, and shutting somebody out and in again."""

import re

from sqlalchemy import select

from core.config import get_settings
from core.db import tenant_session
from core.models.audit import AuditEvent
from core.models.users import Invite, User
from core.tenancy import Role


def test_an_invites_link_is_shown_once_and_works(admin, client):
    response = admin.client.post("/members/invites", data={"email": "grace@example.com", "role": "viewer"})
    assert response.status_code == 201
    link = re.search(
        r'id="invite-link">http://127.0.0.1:8000(/invites/[^<]+)<', response.get_data(as_text=True)
    )
    assert link is not None
    assert link[1].rpartition("/")[2] not in admin.client.get("/members").get_data(as_text=True)

    answer = client.post(link[1], data={"name": "Grace", "password": "a long password", "terms": "y"})
    assert answer.status_code == 303
    with tenant_session(admin.scope) as session:
        assert (
            session.scalars(select(User.role).where(User.email == "grace@example.com")).one() is Role.VIEWER
        )


def test_an_invites_link_leads_to_the_portal_whatever_host_the_request_names(admin):
    cookie = admin.client.get_cookie("adaptary_session")
    admin.client.set_cookie("adaptary_session", cookie.value, domain="evil.example")
    page = admin.client.post(
        "/members/invites",
        data={"email": "grace@example.com", "role": "viewer"},
        base_url="http://evil.example",
    ).get_data(as_text=True)
    assert f"{get_settings().portal_url}/invites/" in page
    assert "evil.example" not in page


def test_a_wrong_invite_is_refused_beside_its_field(admin):
    for data, message in (
        ({"email": "nobody", "role": "viewer"}, "like ada@example.com"),
        ({"email": admin.email, "role": "viewer"}, "a member already"),
        ({"email": "grace@example.com", "role": "emperor"}, "Not a valid choice"),
    ):
        response = admin.client.post("/members/invites", data=data)
        assert response.status_code == 422
        assert message in response.get_data(as_text=True)
    with tenant_session(admin.scope) as session:
        assert session.scalars(select(Invite)).all() == []


def test_an_invite_is_revoked(admin):
    admin.client.post("/members/invites", data={"email": "grace@example.com", "role": "viewer"})
    with tenant_session(admin.scope) as session:
        invite = session.scalars(select(Invite)).one()
    assert admin.client.post(f"/members/invites/{invite.id}/revoke").status_code == 303
    assert "Open invites" not in admin.client.get("/members").get_data(as_text=True)


def test_a_role_is_changed_and_noted(admin, member):
    viewer = member(Role.VIEWER)
    response = admin.client.post(f"/members/{viewer.user_id}/role", data={"role": "finance"})
    assert response.status_code == 303
    with tenant_session(admin.scope) as session:
        assert session.get_one(User, viewer.user_id).role is Role.FINANCE
        event = session.scalars(select(AuditEvent).where(AuditEvent.action == "member.role_changed")).one()
        assert event.detail == {"from": "viewer", "to": "finance"}
    assert viewer.client.get("/keys").status_code == 403


def test_the_last_admin_keeps_the_role_and_stays(admin):
    for path, data in (("role", {"role": "viewer"}), ("deactivate", {})):
        response = admin.client.post(f"/members/{admin.user_id}/{path}", data=data, follow_redirects=True)
        assert "A tenant needs an admin" in response.get_data(as_text=True)
    with tenant_session(admin.scope) as session:
        user = session.get_one(User, admin.user_id)
        assert (user.role, user.deactivated_at) == (Role.ADMIN, None)


def test_a_deactivated_member_is_out_until_reactivated(admin, member, sign_in):
    viewer = member(Role.VIEWER)
    admin.client.post(f"/members/{viewer.user_id}/deactivate")
    assert viewer.client.get("/members").location.startswith("/login")
    admin.client.post(f"/members/{viewer.user_id}/reactivate")
    assert sign_in(viewer.email).get("/members").status_code == 200


def test_who_may_not_change_members_sees_them_without_the_means(member):
    page = member(Role.VIEWER).client.get("/members").get_data(as_text=True)
    assert "Grace" in page
    assert "<select" not in page
    assert "Deactivate" not in page
