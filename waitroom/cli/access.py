"""`waitroom account` and `waitroom token`: who may use the admin listener."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click

from .options import Connect, admin_options, json_option
from .outcome import print_json

if TYPE_CHECKING:
    from .verbs import AdminAPI

ROLES = click.Choice(["viewer", "operator", "admin"])
role_option = click.option("--role", type=ROLES, default="operator", show_default=True, help="What it may.")


def _show(api: AdminAPI, answer: dict[str, Any], *, as_json: bool, words: str) -> None:
    if "welcome" in answer:
        answer["welcome"] = api.url + answer["welcome"]
    if as_json:
        print_json(answer)
        return
    click.echo(words)
    if "welcome" in answer:
        click.echo(f"Within a day, the password is set, once, at\n{answer['welcome']}")


def _day(ms: int | None) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d") if ms else "never"


@click.group("account")
def account_command() -> None:
    """Say who logs in to the console, and what they may."""


@account_command.command("list")
@admin_options
@json_option
def list_accounts(connect: Connect, *, as_json: bool) -> None:
    """List the accounts."""
    answer = connect().ask("GET", "/accounts")
    if as_json:
        print_json(answer)
        return
    if not answer["accounts"]:
        click.echo("Nobody has an account yet; `waitroom account link` makes the link for the first.")
    for account in answer["accounts"]:
        notes = [account["role"]]
        notes += ["second factor"] if account["second_factor"] else []
        notes += [] if account["has_password"] else ["no password yet"]
        click.echo(f"{account['name']:<24} {', '.join(notes)}")


@account_command.command("add")
@click.argument("name")
@role_option
@admin_options
@json_option
def add_account(name: str, role: str, connect: Connect, *, as_json: bool) -> None:
    """Add an account and print the link that sets its password."""
    api = connect()
    answer = api.ask("POST", "/accounts", {"name": name, "role": role})
    _show(api, answer, as_json=as_json, words=f"{name} is {role}.")


@account_command.command("link")
@click.argument("name", default="admin")
@admin_options
@json_option
def link(name: str, connect: Connect, *, as_json: bool) -> None:
    """Print the link that sets the password of an account without one; without NAME, the first of all."""
    api = connect()
    answer = api.ask("POST", f"/accounts/{quote(name, safe='')}/invite", {})
    _show(api, answer, as_json=as_json, words=f"For {name}:")


@account_command.command("role")
@click.argument("name")
@click.argument("role", type=ROLES)
@admin_options
@json_option
def give_role(name: str, role: str, connect: Connect, *, as_json: bool) -> None:
    """Say what an account may; its sessions end."""
    api = connect()
    answer = api.ask("POST", f"/accounts/{quote(name, safe='')}/role", {"role": role})
    _show(api, answer, as_json=as_json, words=f"{name} is {role}.")


@account_command.command("reset")
@click.argument("name")
@admin_options
@json_option
def reset(name: str, connect: Connect, *, as_json: bool) -> None:
    """Take password and second factor away, end the sessions, and print the link that sets a new password."""
    api = connect()
    answer = api.ask("POST", f"/accounts/{quote(name, safe='')}/reset", {})
    _show(api, answer, as_json=as_json, words=f"{name} has no password now.")


@account_command.command("remove")
@click.argument("name")
@admin_options
@json_option
def remove(name: str, connect: Connect, *, as_json: bool) -> None:
    """Remove an account; its sessions end."""
    api = connect()
    answer = api.ask("DELETE", f"/accounts/{quote(name, safe='')}")
    _show(api, answer, as_json=as_json, words=f"{name} is removed.")


@click.group("token")
def token_command() -> None:
    """Make and revoke the API tokens of programs."""


@token_command.command("list")
@admin_options
@json_option
def list_tokens(connect: Connect, *, as_json: bool) -> None:
    """List the API tokens; never their texts."""
    answer = connect().ask("GET", "/tokens")
    if as_json:
        print_json(answer)
        return
    if not answer["tokens"]:
        click.echo("No program has a token yet; `waitroom token add` makes one.")
    for one in answer["tokens"]:
        click.echo(
            f"{one['id']}  {one['name']:<24} {one['role']:<9} ends {_day(one['expires_ms'])}, "
            f"last used {_day(one['used_ms'])}"
        )


@token_command.command("add")
@click.argument("name")
@click.option("--role", type=ROLES, default="viewer", show_default=True, help="What it may.")
@click.option("--days", type=click.IntRange(0, 3_650), default=90, show_default=True, help="When it ends; 0: never.")
@admin_options
@json_option
def add_token(name: str, role: str, days: int, connect: Connect, *, as_json: bool) -> None:
    """Make a token for what NAME says, and print its text: this once."""
    answer = connect().ask("POST", "/tokens", {"name": name, "role": role, "days": days or None})
    if as_json:
        print_json(answer)
    else:
        click.echo(answer["text"])


@token_command.command("revoke")
@click.argument("id_", metavar="ID")
@admin_options
@json_option
def revoke_token(id_: str, connect: Connect, *, as_json: bool) -> None:
    """Revoke a token; what uses it is refused from now on."""
    api = connect()
    answer = api.ask("DELETE", f"/tokens/{quote(id_, safe='')}")
    _show(api, answer, as_json=as_json, words=f"{id_} opens nothing any more.")
