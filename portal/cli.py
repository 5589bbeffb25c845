"""Commands for the operator, under `flask --app wsgi`. They print JSON, for scripts."""

import json
import secrets
from datetime import timedelta
from typing import Any
from uuid import UUID

import click
from flask import Flask
from flask.cli import AppGroup
from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.stripe.catalogue_sync import sync_catalogue
from billing.stripe.client import StripeProblem, stripe_client
from core import api_keys
from core.catalogue import Task
from core.clock import now
from core.crypto import KeyRejected
from core.db import operator_session, tenant_session
from core.models.models import Model
from core.models.staff import StaffMember
from core.models.tenants import Tenant
from core.models.users import User
from core.networks import InvalidNetwork, parse_networks
from core.tenancy import Actor, ActorKind, Endpoint, StaffRole, system_scope
from portal import accounts, clock, key_rotation, second_factor
from portal.key_reach import NoSuchModel, reach_to

tenant_group = AppGroup("tenant", help="Tenants.")
key_group = AppGroup("key", help="API keys.")
staff_group = AppGroup("staff", help="The operator's staff.")
clock_group = AppGroup("clock", help="Periodic jobs.")
billing_group = AppGroup("billing", help="Stripe.")
keys_group = AppGroup("keys", help="The master key.")

_PASSWORD = click.option(
    "--password",
    envvar="ADAPTARY_PASSWORD",
    help="Made up if left out. Better by the variable ADAPTARY_PASSWORD: all can read a command line.",
)


def init_app(app: Flask) -> None:
    for group in (tenant_group, key_group, staff_group, clock_group, billing_group, keys_group):
        app.cli.add_command(group)


def _print(value: dict[str, Any]) -> None:
    click.echo(json.dumps(value, indent=2))


def _password(given: str | None) -> str:
    return given or secrets.token_urlsafe(12)


@tenant_group.command("create")
@click.argument("name")
@click.option("--email", required=True, help="The first admin's address.")
@_PASSWORD
def create_tenant(name: str, email: str, password: str | None) -> None:
    """Make a tenant with its first admin."""
    plain = _password(password)
    with operator_session("make a tenant, which does not exist yet") as session:
        try:
            tenant, user = accounts.sign_up(session, tenant_name=name, name=name, email=email, password=plain)
            user.email_verified_at = now()  # the operator vouches for it
        except accounts.AccountError as error:
            raise click.ClickException(str(error)) from None
        session.commit()
    _print({"tenant_id": str(tenant.id), "name": tenant.name, "email": user.email, "password": plain})


@key_group.command("create")
@click.argument("tenant_id", type=click.UUID)
@click.option("--name", required=True, help="What the key is for.")
@click.option("--manage", is_flag=True, help="It may also upload files, start fine-tunes and delete models.")
@click.option("--no-predict", is_flag=True, help="With --manage: it may not call models.")
@click.option("--model", "models", multiple=True, help="Only this model exists for it. May be given again.")
@click.option(
    "--endpoint",
    "endpoints",
    multiple=True,
    type=click.Choice([endpoint.value for endpoint in Endpoint]),
    help="It may call models by this alone. May be given again.",
)
@click.option(
    "--network", "networks", multiple=True, help="Only from here, like 203.0.113.0/24. May be given again."
)
@click.option("--expires-in-days", type=click.IntRange(1, 3650), help="Refused from then on.")
@click.option("--default-model", help="The chat model that answers where a request names none.")
@click.option("--requests-per-minute", type=click.IntRange(1), help="The key's own limit.")
@click.option("--tokens-per-minute", type=click.IntRange(1), help="The key's own limit.")
def create_key(
    tenant_id: UUID,
    name: str,
    manage: bool,
    no_predict: bool,
    models: tuple[str, ...],
    endpoints: tuple[str, ...],
    networks: tuple[str, ...],
    expires_in_days: int | None,
    default_model: str | None,
    requests_per_minute: int | None,
    tokens_per_minute: int | None,
) -> None:
    """Make an API key for a tenant. It is printed once and cannot be shown again."""
    if no_predict and not manage:
        raise click.UsageError("A key that may neither call models nor manage them is good for nothing.")
    with tenant_session(system_scope(tenant_id, "command line")) as session:
        if session.get(Tenant, tenant_id) is None:
            raise click.ClickException(f"There is no tenant {tenant_id}.")
        try:
            key, plain = api_keys.create(
                session,
                session.scope,
                name,
                may_predict=not no_predict,
                may_manage=manage,
                default_model_id=_chat_model_id(session, default_model),
                reach=reach_to(session, models, endpoints),
                limits=api_keys.KeyLimits(requests_per_minute, tokens_per_minute),
                networks=parse_networks("\n".join(networks)),
                expires_at=now() + timedelta(days=expires_in_days) if expires_in_days else None,
            )
        except (
            api_keys.TooManyKeys,
            api_keys.DefaultModelOutOfReach,
            InvalidNetwork,
            NoSuchModel,
        ) as error:
            raise click.ClickException(str(error)) from None
        session.commit()
    _print({"key_id": str(key.id), "tenant_id": str(tenant_id), "name": key.name, "key": plain})


def _chat_model_id(session: Session, name: str | None) -> UUID | None:
    if name is None:
        return None
    found = select(Model.id).where(Model.name == name, Model.task == Task.CHAT, Model.deleted_at.is_(None))
    model_id = session.scalar(found)
    if model_id is None:
        raise click.ClickException(f"The tenant has no chat model {name!r}.")
    return model_id


@staff_group.command("create")
@click.argument("name")
@click.option("--email", required=True)
@click.option("--role", type=click.Choice([role.value for role in StaffRole]), default=StaffRole.ADMIN.value)
@_PASSWORD
def create_staff(name: str, email: str, role: str, password: str | None) -> None:
    """Add one of the operator's staff."""
    plain = _password(password)
    with operator_session("add a member of staff, who belongs to no tenant") as session:
        try:
            member = accounts.create_staff(
                session, email=email, name=name, password=plain, role=StaffRole(role)
            )
        except accounts.AccountError as error:
            raise click.ClickException(str(error)) from None
        session.commit()
    _print({"staff_id": str(member.id), "email": member.email, "role": member.role, "password": plain})


@staff_group.command("reset-second-factor")
@click.argument("email")
def reset_staff_second_factor(email: str) -> None:
    """Take a member of staff's codes, passkeys and recovery codes away, who has lost them. They are told by mail."""
    _reset_second_factor(email, StaffMember)


@tenant_group.command("reset-second-factor")
@click.argument("email")
def reset_user_second_factor(email: str) -> None:
    """Take a tenant's user's second factors away, whom no admin of the tenant can help. They are told by mail."""
    _reset_second_factor(email, User)


def _reset_second_factor(email: str, kind: type[User] | type[StaffMember]) -> None:
    with operator_session("find whose second factor is lost, in whichever tenant") as session:
        person = accounts.find_person(session, email)
        if not isinstance(person, kind):
            raise click.ClickException(f"Nobody of that kind signs in as {email}.")
        was_there = second_factor.reset(session, person, Actor(ActorKind.SYSTEM, None, "command line"))
        session.commit()
    _print({"email": person.email, "had_second_factor": was_there})


@clock_group.command("run")
def run_clock() -> None:
    """Run the periodic jobs until told to stop."""
    clock.run()


@billing_group.command("sync")
def sync_billing() -> None:
    """Make at Stripe what it lacks of the plan catalogue: meters, products and prices. Run it after each change."""
    client = stripe_client()
    if client is None:
        raise click.ClickException("Set STRIPE_SECRET_KEY first.")
    try:
        report = sync_catalogue(client)
    except StripeProblem as problem:
        raise click.ClickException(f"{problem} What was made stays; run it again.") from None
    _print({"made": report.made, "kept": report.kept})


@keys_group.command("rotate")
def rotate_keys() -> None:
    """Put every tenant's data key under MASTER_KEY, from MASTER_KEY_OLD where it still is. It may run again."""
    with operator_session("put every tenant's data key under another master key") as session:
        try:
            report = key_rotation.rotate(session)
        except KeyRejected as error:
            raise click.ClickException(f"{error} Nothing was changed.") from None
        session.commit()
    _print({"rotated": report.rotated, "kept": report.kept, "signed": report.signed})
