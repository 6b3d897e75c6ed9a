"""gasgate's rules for tickets: put this file into the tracker's detectors folder.

What it does: a new ticket starts as "open" with version 0; each change of state raises the version and leaves one
crewevent with what the crew found, and so does a result that is set after the work was completed; nobody retires a
ticket, because that would free its key, and gasgate does not set states. A request that fails half way leaves nothing
behind, nor a lock on the database. After the commit the step is told to gasgate if detectors/config.ini has, in its
part [main], `gasgate_url` and `gasgate_secret_file`. A step that could not be told is found by gasgate when it asks for
changes.
"""

import base64
import hashlib
import hmac
import json
import logging
import threading
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime

from roundup.exceptions import Reject

WAIT_S = 3.0
_log = logging.getLogger("roundup.gasgate")


def new_ticket(db, cl, nodeid, newvalues):
    """Refuse a ticket without key; start it as open."""
    for name in ("dedup_key", "ticket_no", "raised_at"):
        if not newvalues.get(name):
            raise Reject(f"{name} is missing")
    newvalues["state"] = db.getclass("ticketstate").lookup("open")
    newvalues["version"] = 0


def changed_ticket(db, cl, nodeid, newvalues):
    """Keep the key; count the changes of state."""
    if "dedup_key" in newvalues and newvalues["dedup_key"] != cl.get(nodeid, "dedup_key"):
        raise Reject("the key of a ticket never changes")
    newvalues.pop("version", None)
    if "state" in newvalues and not newvalues["state"]:
        raise Reject("a ticket has a state")
    if newvalues.get("state", cl.get(nodeid, "state")) == cl.get(nodeid, "state") and not _corrects(
        db, cl, nodeid, newvalues
    ):
        return
    newvalues["version"] = (cl.get(nodeid, "version") or 0) + 1
    newvalues["step_at"] = _moment(newvalues.get("step_at"))


def _corrects(db, cl, nodeid, newvalues):
    """Tell whether somebody says of completed work what was found: the completion is then told once more."""
    completed = cl.get(nodeid, "state") == db.getclass("ticketstate").lookup("completed")
    return completed and bool(newvalues.get("result")) and newvalues["result"] != cl.get(nodeid, "result")


def told_of_ticket(db, cl, nodeid, oldvalues):
    """Write the step down, and tell gasgate once it is committed."""
    if oldvalues.get("version") == cl.get(nodeid, "version"):
        return
    version = cl.get(nodeid, "version")
    step = {
        "event_id": f"ticket{nodeid}-{version}",
        "version": version,
        "type": db.getclass("ticketstate").get(cl.get(nodeid, "state"), "name"),
        "occurred_at": cl.get(nodeid, "step_at"),
        "by": db.getclass("user").get(db.getuid(), "username"),
        "result": _name_of(db, "ticketresult", cl.get(nodeid, "result")),
    }
    db.getclass("crewevent").create(ticket=nodeid, **step)
    settings = db.config.detectors
    try:
        url, secret_file = settings["GASGATE_URL"], settings["GASGATE_SECRET_FILE"]
    except KeyError:
        return
    event = _event(db.config.TRACKER_WEB, nodeid, cl.get(nodeid, "dedup_key"), step)
    # the database calls these when the transaction is safe
    db.transactions.append((_tell_apart, (url, secret_file, event)))


def new_message(db, cl, nodeid, oldvalues):
    """Show a message on its ticket, and raise the ticket's priority with it."""
    ticket = cl.get(nodeid, "ticket")
    tickets = db.getclass("ticket")
    changes = {"messages": [*tickets.get(ticket, "messages"), nodeid]}
    priority, now = cl.get(nodeid, "priority"), tickets.get(ticket, "priority")
    if priority is not None and (now is None or priority < now):
        changes["priority"] = priority
    tickets.set(ticket, **changes)


def complete_message(db, cl, nodeid, newvalues):
    """Refuse a message without key or ticket."""
    for name in ("webhook_id", "ticket"):
        if not newvalues.get(name):
            raise Reject(f"{name} is missing")


def never(db, cl, nodeid, newvalues):
    """Refuse to retire: the key would be free, and a late repeat would make a second ticket."""
    raise Reject("tickets, their messages and steps are kept")


def _roll_back_at_close(db):
    """Undo what was not committed before the database is closed.

    Roundup 2.6 closes without it. With SQLite the connection then lives on until its memory is collected, and nobody
    can write to the tracker meanwhile.
    """
    close, is_open = db.close, [True]

    def rolled_back():
        if is_open:
            is_open.clear()
            db.rollback()
        close()

    db.close = rolled_back


def _moment(text):
    try:
        moment = datetime.fromisoformat(text) if text else datetime.now(UTC)
    except ValueError:
        raise Reject("step_at must look like 2026-01-31T08:15:00+08:00") from None
    if moment.tzinfo is None:
        raise Reject("step_at needs a time zone, such as +08:00")
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _name_of(db, class_name, nodeid):
    return db.getclass(class_name).get(nodeid, "name") if nodeid else ""


def _event(web, nodeid, dedup_key, step):
    return {
        "specversion": "1.0",
        "id": step["event_id"],
        "source": web,
        "type": step["type"],
        "time": step["occurred_at"],
        "datacontenttype": "application/json",
        "data": {
            "dedup_key": dedup_key,
            "external_ticket_id": nodeid,
            "version": step["version"],
            "occurred_at": step["occurred_at"],
            "actor": step["by"],
            "result": step["result"],
        },
    }


def _tell_apart(*values):
    """Tell in a thread: nobody at the tracker waits for gasgate."""
    threading.Thread(target=_tell, args=values, daemon=True).start()


def _tell(url, secret_file, event):
    body = json.dumps(event).encode()
    try:
        with open(secret_file, encoding="utf-8") as file:
            key = base64.b64decode(file.read().strip().removeprefix("whsec_"))
        at = str(int(time.time()))
        signed = hmac.new(key, f"{event['id']}.{at}.".encode() + body, hashlib.sha256).digest()
        headers = {
            "content-type": "application/cloudevents+json; charset=utf-8",
            "webhook-id": event["id"],
            "webhook-timestamp": at,
            "webhook-signature": "v1," + base64.b64encode(signed).decode(),
        }
        urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=WAIT_S).close()
    except (OSError, ValueError, urllib.error.URLError) as error:
        _log.warning("%s was not told to gasgate: %s", event["id"], error)


def init(db):
    """Tell Roundup of these rules."""
    _roll_back_at_close(db)
    db.ticket.audit("create", new_ticket)
    db.ticket.audit("set", changed_ticket)
    db.ticket.react("set", told_of_ticket)
    db.ticketmessage.audit("create", complete_message)
    db.ticketmessage.react("create", new_message)
    for name in ("ticket", "ticketmessage", "crewevent"):
        db.getclass(name).audit("retire", never)
