"""Commands to devices: who may ask, who must agree, and what became of them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import Field

from api.deps import PartsDep, Reader
from api.services import commands
from api.shapes import Body, Name, RequestId, Text, plain
from gateway.model.command import CommandOffer
from gateway.model.reading import from_us

router = APIRouter(tags=["commands"])
Asset = Annotated[str, Path(max_length=120)]
CommandId = Annotated[int, Path(ge=1, le=2**53)]


class CommandBody(Body):
    """A wanted command."""

    key: RequestId
    """chosen by the caller: the same key again gives the same command and does nothing"""
    asset: Name
    command: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
    """as `/assets/{asset}/commands` names it"""
    reason: Text


class DecisionBody(Body):
    """Why one agrees or not."""

    reason: Text = ""


@router.get("/assets/{asset}/commands")
async def offered(asset: Asset, _user: Reader, parts: PartsDep) -> dict[str, Any]:
    """Return what an asset can be told now."""
    return {"asset": asset, "commands": [offer_json(offer) for offer in await commands.offers(parts, asset)]}


@router.post("/commands", status_code=201)
async def request(body: CommandBody, user: Reader, parts: PartsDep, response: Response) -> dict[str, Any]:
    """Ask for a command; 201 if it is new, 200 with the first one if the key was used before."""
    view, is_new = await commands.request(parts, user, body.asset, body.command, reason=body.reason, key=body.key)
    if not is_new:
        response.status_code = 200
    return command_json(view)


@router.get("/commands")
def listed(
    user: Reader,
    parts: PartsDep,
    asset: Annotated[str | None, Query(max_length=120)] = None,
    before: Annotated[int | None, Query(ge=1, le=2**53)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> dict[str, Any]:
    """Return commands, newest first; `before` is the id of the last one of the page before."""
    found = commands.commands(parts, user, asset=asset, before=before, limit=limit)
    return {"commands": [command_json(view) for view in found]}


@router.get("/commands/{command_id}")
def one(command_id: CommandId, user: Reader, parts: PartsDep) -> dict[str, Any]:
    """Return one command."""
    return command_json(commands.one_command(parts, user, command_id))


@router.post("/commands/{command_id}/approve")
def approve(command_id: CommandId, body: DecisionBody, user: Reader, parts: PartsDep) -> dict[str, Any]:
    """Agree as the second person."""
    return command_json(commands.approve(parts, user, command_id, body.reason))


@router.post("/commands/{command_id}/reject")
def reject(command_id: CommandId, body: DecisionBody, user: Reader, parts: PartsDep) -> dict[str, Any]:
    """Turn a command down, or take one's own back, before it is sent."""
    return command_json(commands.reject(parts, user, command_id, body.reason))


def offer_json(offer: CommandOffer) -> dict[str, Any]:
    """Return an offer as the API shows it."""
    return {
        "command": offer.name,
        "confirm": offer.confirm.value,
        "expect": offer.expect,
        "settle_s": offer.settle_s,
        "second_person": offer.second_person,
        "closes": offer.closes,
    }


def command_json(view: commands.CommandView) -> dict[str, Any]:
    """Return a command as the API shows it."""
    command = view.command
    moments = {
        name: None if at is None else from_us(at)
        for name, at in (
            ("requested_at", command.requested_at),
            ("decided_at", command.decided_at),
            ("sent_at", command.sent_at),
            ("read_at", command.read_at),
            ("ended_at", command.ended_at),
        )
    }
    shown: dict[str, Any] = plain({
        "id": command.id,
        "key": command.wish.key,
        "asset": command.wish.asset,
        "asset_name": view.asset_name,
        **offer_json(command.offer),
        "state": command.state,
        "open": command.open,
        "waits_for_second_person": view.waits_for_second_person,
        "reason": command.wish.reason,
        "requested_by": command.wish.who,
        "decided_by": command.decided_by or None,
        **moments,
        "request_frame": command.request_frame or None,
        "reply_frame": command.reply_frame or None,
        "read_frames": command.read_frames or None,
        "read_value": command.read_value,
        "detail": command.detail or None,
    })  # fmt: skip
    return shown
