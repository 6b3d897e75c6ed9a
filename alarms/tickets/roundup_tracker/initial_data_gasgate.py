# gasgate's part of a Roundup tracker: append this file to the tracker's initial_data.py before it is initialised.

STATES = (
    "open", "accepted", "dispatched", "departed", "arrived", "in_progress", "supply_restored", "fixed", "left_site",
    "completed", "returned", "cancelled", "rechecked", "called_back", "reopened",
)
for place, name in enumerate(STATES):
    db.getclass("ticketstate").create(name=name, order=place)

RESULTS = ("found", "not_found", "no_access", "false_alarm")
for place, name in enumerate(RESULTS):
    db.getclass("ticketresult").create(name=name, order=place)
