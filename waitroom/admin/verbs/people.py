"""Who may use the admin listener, as verbs: accounts and API tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from waitroom.domain.access import Role

from .call import Arguments

if TYPE_CHECKING:
    from waitroom.domain.access import Account, ApiToken

    from .call import Call
    from .changes import Nothing
    from .desk import Verbs

RoleWord = Literal["viewer", "operator", "admin"]


class AccountName(Arguments):
    name: str = Field(description="The account: a short name or an address, in small letters.")


class AccountAndRole(AccountName):
    role: RoleWord = Field(description="viewer sees, operator runs the sale, admin also says who may.")


class NewToken(Arguments):
    name: str = Field(description="What uses it.")
    role: RoleWord = Field(
        default="viewer", description="viewer sees, operator runs the sale, admin also says who may."
    )
    days: int | None = Field(default=90, ge=1, le=3_650, description="Days until it ends; null for never.")


class TokenId(Arguments):
    id: str = Field(description="The token's id, as the list shows it.")


async def accounts(desk: Verbs, call: Call[Nothing]) -> dict[str, Any]:
    """Return `{"accounts": [account, …]}`, by name."""
    return {"accounts": [_account(account) for account in await desk.access.accounts.all()]}


async def add_account(desk: Verbs, call: Call[AccountAndRole]) -> dict[str, Any]:
    """Return the account and the path that sets its password."""
    asked = call.arguments
    link = await desk.access.accounts.add(asked.name, Role[asked.role.upper()], call.author)
    return {"name": asked.name, "role": asked.role, "welcome": welcome_path(link)}


async def invite(desk: Verbs, call: Call[AccountName]) -> dict[str, Any]:
    """Return the path that sets the password of an account that has none."""
    return {
        "name": call.arguments.name,
        "welcome": welcome_path(await desk.access.accounts.invite(call.arguments.name)),
    }


async def reset_account(desk: Verbs, call: Call[AccountName]) -> dict[str, Any]:
    """Return the path that sets a new password."""
    link = await desk.access.accounts.reset(call.arguments.name, call.author)
    return {"name": call.arguments.name, "welcome": welcome_path(link)}


async def give_role(desk: Verbs, call: Call[AccountAndRole]) -> dict[str, Any]:
    """Return the account."""
    asked = call.arguments
    return _account(await desk.access.accounts.give_role(asked.name, Role[asked.role.upper()], call.author))


async def remove_account(desk: Verbs, call: Call[AccountName]) -> dict[str, Any]:
    """Return the name of whom nobody is any more."""
    await desk.access.accounts.remove(call.arguments.name, call.author)
    return {"name": call.arguments.name, "removed": True}


async def tokens(desk: Verbs, call: Call[Nothing]) -> dict[str, Any]:
    """Return `{"tokens": [token, …]}`, the newest first; never their texts."""
    return {"tokens": [_token(token) for token in await desk.access.api_tokens.all()]}


async def add_token(desk: Verbs, call: Call[NewToken]) -> dict[str, Any]:
    """Return the token and, this once, its text."""
    asked = call.arguments
    token, text = await desk.access.api_tokens.add(asked.name, Role[asked.role.upper()], asked.days, call.author)
    return _token(token) | {"text": text}


async def revoke_token(desk: Verbs, call: Call[TokenId]) -> dict[str, Any]:
    """Return the id of what opens nothing any more."""
    await desk.access.api_tokens.revoke(call.arguments.id, call.author)
    return {"id": call.arguments.id, "revoked": True}


def welcome_path(link: str) -> str:
    """Return the path at which a link sets a password."""
    return f"/welcome?link={link}"


def _account(account: Account) -> dict[str, Any]:
    return {
        "name": account.name,
        "role": account.role.word,
        "has_password": bool(account.password),
        "second_factor": bool(account.totp_secret),
        "created_ms": account.created_ms,
    }


def _token(token: ApiToken) -> dict[str, Any]:
    return {
        "id": token.id,
        "name": token.name,
        "role": token.role.word,
        "made_by": token.made_by,
        "created_ms": token.created_ms,
        "expires_ms": token.expires_ms or None,
        "used_ms": token.used_ms or None,
    }
