"""The master alarm database."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path
from fastapi.responses import PlainTextResponse
from pydantic import Field

from api.auth import User
from api.deps import PartsDep, Reader, Require
from api.roles import Act
from api.services import definitions
from api.shapes import Body, Reason, plain

router = APIRouter(tags=["alarm definitions"])
DefinitionId = Annotated[str, Path(pattern=r"^[A-Z][A-Z0-9_]{2,59}$")]
ProposalId = Annotated[int, Path(ge=1, le=2**53)]
Author = Annotated[User, Depends(Require(Act.DEFINITION_PROPOSE))]
Approver = Annotated[User, Depends(Require(Act.DEFINITION_APPROVE))]
Value = Annotated[str, Field(max_length=500)] | bool | int | float | list[Annotated[str, Field(max_length=60)]] | None


class ProposalBody(Body):
    """What is to be different in a definition, and why."""

    changes: Annotated[dict[Annotated[str, Field(max_length=60)], Value], Field(min_length=1, max_length=40)]
    """keys of the definition's row, as in the definitions file"""
    reason: Reason


class ImportBody(Body):
    """A definitions file."""

    toml: Annotated[str, Field(min_length=1, max_length=60_000)]
    reason: Reason


class ApprovalBody(Body):
    """By when the definition is to be looked at again."""

    next_review: date | None = None


@router.get("/alarm-definitions")
def listed(_user: Reader, parts: PartsDep) -> dict[str, Any]:
    """Return the definitions in force, the proposals that wait, and what runs otherwise than approved."""
    shown: dict[str, Any] = plain(definitions.master(parts))
    return shown


@router.get("/alarm-definitions.toml", response_class=PlainTextResponse)
def as_toml(_user: Reader, parts: PartsDep) -> PlainTextResponse:
    """Return the definitions in force as one file."""
    return PlainTextResponse(definitions.as_toml(parts), media_type="application/toml")


@router.get("/alarm-definitions/{definition}")
def history(definition: DefinitionId, _user: Reader, parts: PartsDep) -> dict[str, Any]:
    """Return every revision of a definition, newest first."""
    return {"revisions": plain(definitions.history(parts, definition))}


@router.post("/alarm-definitions/{definition}/propose", status_code=201)
def propose(definition: DefinitionId, body: ProposalBody, user: Author, parts: PartsDep) -> dict[str, Any]:
    """Propose a change; it holds once somebody else approves it."""
    shown: dict[str, Any] = plain(definitions.propose(parts, user, definition, body.changes, body.reason))
    return shown


@router.post("/alarm-definitions/import", status_code=201)
def import_toml(body: ImportBody, user: Author, parts: PartsDep) -> dict[str, Any]:
    """Propose whatever differs in a definitions file."""
    return {"proposals": plain(definitions.import_toml(parts, user, body.toml, body.reason))}


@router.post("/definition-proposals/{proposal}/approve")
def approve(proposal: ProposalId, body: ApprovalBody, user: Approver, parts: PartsDep) -> dict[str, Any]:
    """Put a proposal of somebody else in force."""
    done = definitions.decide(parts, user, proposal, agree=True, next_review=body.next_review)
    shown: dict[str, Any] = plain(done)
    return shown


@router.post("/definition-proposals/{proposal}/refuse")
def refuse(proposal: ProposalId, user: Author, parts: PartsDep) -> dict[str, Any]:
    """Turn a proposal down, or take one's own back."""
    shown: dict[str, Any] = plain(definitions.decide(parts, user, proposal, agree=False))
    return shown
