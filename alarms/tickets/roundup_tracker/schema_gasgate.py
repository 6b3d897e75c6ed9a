# gasgate's part of a Roundup tracker: append this file to the tracker's schema.py.
#
# A ticket is made once by its dedup_key. Crews and dispatchers set its state; gasgate never does.

ticketstate = Class(db, "ticketstate", name=String(), order=Number())
ticketstate.setkey("name")

# What a crew found: gasgate takes "found" as real and "false_alarm" as false, the others say nothing about an alarm.
ticketresult = Class(db, "ticketresult", name=String(), order=Number())
ticketresult.setkey("name")

ticket = Class(
    db,
    "ticket",
    dedup_key=String(),
    ticket_no=String(),
    ticket_class=String(),
    type=String(),
    priority=Integer(),
    title=String(),
    description=String(),
    asset=String(),
    address=String(),
    raised_at=String(),
    depart_by=String(),
    arrive_by=String(),
    state=Link("ticketstate"),
    step_at=String(),
    result=Link("ticketresult"),
    version=Integer(),
    messages=Multilink("ticketmessage"),
)
ticket.setkey("dedup_key")
ticket.setlabelprop("ticket_no")
ticket.setorderprop("id")

# What gasgate adds to a ticket later. Its key makes a repeat harmless.
ticketmessage = Class(
    db,
    "ticketmessage",
    webhook_id=String(),
    ticket=Link("ticket"),
    command=String(),
    priority=Integer(),
    text=String(),
)
ticketmessage.setkey("webhook_id")

# One row for each step of the work; written by a reactor alone.
crewevent = Class(
    db,
    "crewevent",
    event_id=String(),
    ticket=Link("ticket"),
    version=Integer(),
    type=String(),
    occurred_at=String(),
    by=String(),
    result=String(),
)
crewevent.setkey("event_id")

# The user that gasgate logs in as makes tickets and messages and reads everything about them, no more.
db.security.addRole(name="Gateway", description="gasgate, which raises tickets")
db.security.addPermissionToRole("Gateway", "Web Access")
db.security.addPermissionToRole("Gateway", "Rest Access")
for name in ("ticket", "ticketmessage", "crewevent", "ticketstate", "ticketresult"):
    db.security.addPermissionToRole("Gateway", "View", name)
    db.security.addPermissionToRole("User", "View", name)
for name in ("ticket", "ticketmessage"):
    db.security.addPermissionToRole("Gateway", "Create", name)

# Dispatchers and crews are ordinary users: they move tickets on.
db.security.addPermissionToRole(
    "User",
    db.security.addPermission(
        name="Edit", klass="ticket", properties=("state", "step_at", "result", "address", "description")
    ),
)
