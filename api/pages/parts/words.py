"""The words for states, classes and kinds, as texts of the catalogues."""

from __future__ import annotations

from api.pages.parts import service_words
from api.text import Texts, mark

STATES = {
    "A": mark("normal"),
    "B": mark("unacknowledged"),
    "C": mark("acknowledged"),
    "D": mark("returned, unacknowledged"),
    "L1": mark("latched, unacknowledged"),
    "L2": mark("latched, acknowledged"),
    "E": mark("shelved"),
    "F": mark("suppressed by design"),
    "G": mark("out of service"),
}
TICKET_CLASSES = {
    "EMERGENCY": mark("Emergency"),
    "URGENT": mark("Urgent"),
    "REPAIR": mark("Repair"),
    "CHECK": mark("Check"),
    "SERVICE": mark("Service"),
    "PLANNED": mark("Planned"),
}
TICKET_STATES = {
    "open": mark("open"),
    "accepted": mark("accepted"),
    "dispatched": mark("dispatched"),
    "departed": mark("departed"),
    "arrived": mark("on site"),
    "in_progress": mark("at work"),
    "supply_restored": mark("supply restored"),
    "fixed": mark("fixed"),
    "left_site": mark("left the site"),
    "completed": mark("completed"),
    "returned": mark("returned"),
    "cancelled": mark("cancelled"),
    "rechecked": mark("rechecked"),
    "called_back": mark("called back"),
    "reported": mark("reported"),
    "released": mark("sent to be checked"),
    "responded": mark("first answer given"),
    "answered": mark("answered"),
    "appointed": mark("appointment made"),
    "surveyed": mark("surveyed on site"),
    "plan_agreed": mark("plan agreed with the customer"),
    "paid": mark("paid"),
    "site_ready": mark("site ready for work"),
    "begun": mark("work begun"),
    "cleared": mark("site is cleared"),
    "read": mark("meter read"),
    "announced": mark("stop announced"),
    "planned_start": mark("planned start of the stop"),
    "stopped": mark("supply stopped"),
    "restored": mark("supply is back"),
    "reopened": mark("reopened"),
}
DELIVERIES = {
    "pending": mark("waiting to be sent"),
    "sending": mark("being sent"),
    "confirmed": mark("delivered"),
    "unknown": mark("delivery unknown"),
    "retry": mark("sending again"),
    "dead": mark("not delivered"),
}
EVENTS = {
    "raised": mark("condition rose"),
    "returned": mark("condition over"),
    "announced": mark("announced"),
    "announced_again": mark("announced again"),
    "withheld": mark("withheld"),
    "acknowledged": mark("acknowledged"),
    "never_acknowledged": mark("was never acknowledged"),
    "shelved": mark("shelved"),
    "unshelved": mark("taken off the shelf"),
    "shelf_over": mark("shelf time over"),
    "reset": mark("reset"),
    "silenced": mark("silenced"),
    "realarmed": mark("sounded again"),
    "acknowledgement_undone": mark("acknowledgement taken back"),
    "limit_changed": mark("limit changed"),
    "priority_raised": mark("priority raised"),
    "rule_on": mark("suppressed by rule"),
    "rule_off": mark("no longer suppressed"),
    "removed_from_service": mark("taken out of service"),
    "returned_to_service": mark("back in service"),
    "chattering": mark("comes and goes"),
    "repair": mark("comes and goes: wants a repair"),
}
FINDINGS = {
    "leak": mark("Leak"),
    "inside_leak": mark("Leak inside a home"),
    "supply_drift": mark("Supply meter drifts"),
    "non_moving": mark("Non-moving meter"),
    "theft": mark("Theft suspicion"),
    "unauthorised": mark("Unauthorised use"),
    "ic_mismatch": mark("IC-card mismatch"),
    "slow": mark("Slow meter"),
    "silent": mark("Silent meter"),
    "flow_when_closed": mark("Flow while closed"),
    "register_reset": mark("Register began anew"),
    "clock": mark("Clock is wrong"),
    "visit": mark("Visit: long unread"),
}
HYPOTHESES = {
    **FINDINGS,
    "stuck": mark("Stuck meter"),
    "vacant": mark("Nobody at home"),
    "away": mark("Nobody at home"),
    "honest": mark("Honest"),
    "normal": mark("Normal use"),
    "healthy": mark("Normal use"),
    "bypass": mark("Bypass"),
    "share": mark("A share is not counted"),
    "deficit": mark("A fixed amount is not counted"),
    "another meter": mark("Another meter"),
    "a meter": mark("A meter"),
    "nothing": mark("Nothing is wrong"),
    "a spell": mark("A spell that passes"),
    "an end": mark("It is over already"),
}
STATUSES = {
    "open": mark("open"),
    "ended": mark("ended"),
    "confirmed": mark("confirmed"),
    "honest": mark("honest"),
    "meter_fault": mark("meter fault"),
}
VERDICTS = {"normal": mark("normal"), "high": mark("high"), "not_assessable": mark("not assessable")}
ZONES = {
    "city": mark("City"),
    "district": mark("District"),
    "regulator": mark("Regulator zone"),
    "building": mark("Building"),
}
ROLES = {
    "viewer": mark("Viewer"),
    "operator": mark("Operator"),
    "engineer": mark("Meter engineer"),
    "auditor": mark("Reading auditor"),
    "manager": mark("Service manager"),
    "administrator": mark("Administrator"),
}
PROCESSES = {
    "keep": mark("Collect and keep"),
    "alarm": mark("Judge and alarm"),
    "analyse": mark("Analyse"),
    "web": mark("Pages and API"),
}
REFUSALS = {
    "already_acknowledged": mark("It is acknowledged already."),
    "stale_occurrence": mark("It rose again meanwhile: look at it anew."),
    "hidden": mark("It is hidden now."),
    "condition_active": mark("The condition is still there."),
    "not_acknowledged": mark("Acknowledge it first."),
    "not_latched": mark("There is nothing to reset."),
    "nothing_active": mark("There is nothing to shelve."),
    "already_shelved": mark("It is shelved already."),
    "already_inspected": mark("Somebody recorded another result meanwhile."),
    "already_over": mark("The case is over already."),
    "not_open": mark("The case is over already."),
    "released": mark("A ticket looks into it already."),
    "not_shelved": mark("It is not shelved."),
    "not_shelvable": mark("This alarm may not be shelved."),
    "shelve_time": mark("That is longer than this alarm may be shelved."),
    "reason_required": mark("Say why."),
    "conflict": mark("Somebody else was faster: look at it anew."),
    "forbidden": mark("Your role may not do that."),
    "out_of_service": mark("It is out of service."),
    "unknown_step": mark("Its clocks do not know this step."),
    "step_time": mark("The time lies before the ticket, or ahead."),
    "unknown_asset": mark("No meter, regulator or station has this name."),
    "no_such_command": mark("It does not take this command."),
    "asset_busy": mark("It has an open command: wait for its outcome."),
    "too_many_open": mark("You have too many open commands: wait for their outcome."),
    "too_fast": mark("Too many commands in a minute: wait a little."),
    "already_out": mark("It is out of service already."),
    "already_asked": mark("A second person was asked already."),
    "field_required": mark("Work order, interim measure and a later return are needed."),
    "test_required": mark("Say how it was tested."),
    "in_service": mark("It is in service."),
    "same_person": mark("The second person must be another one."),
    "not_waiting": mark("It is decided already, or too old."),
    "short_notice": mark("Less than 48 hours ahead needs a supervisor."),
    "nothing_listed": mark("Name a zone, a station, a regulator or a meter."),
    "bad_time": mark("These times cannot be."),
    "too_long": mark("Supply must be back within 24 hours."),
    "unknown_type": mark("Nothing of this kind can be ordered."),
    "unknown_size": mark("Choose the size of the job."),
    "reported_at": mark("It must have been asked within the last 7 days."),
    "second_person": mark("The second person must be another one."),
    "wrong_step": mark("It is not its turn for that."),
    "login_required": mark("Your session has ended: log in again."),
    "wrong_password": mark("The password until now is wrong."),
    "weak_password": mark("Take a longer password, and not one that others would try first."),
    "same_password": mark("Take another password than before."),
    "bad_name": mark("A name has 1 to 120 characters and no space at its ends."),
    "locked": mark("Too many failures. Try again in a few minutes."),
    "vouched": mark("The identity provider decides on this."),
    "last_administrator": mark("Somebody must stay administrator."),
    "exists": mark("There is somebody of this name."),
    "too_many": mark("There are too many already."),
    "unknown_user": mark("There is nobody of this name."),
    "bad_scope": mark("A token may not be allowed that."),
    "password_change": mark("Change your password first."),
}


def state(letter: str, tr: Texts) -> str:
    """Name an alarm's state."""
    return tr(STATES.get(letter, letter))


def ticket_class(name: str, tr: Texts) -> str:
    """Name a ticket's class."""
    return tr(TICKET_CLASSES.get(name, name))


def ticket_state(name: str, tr: Texts) -> str:
    """Name a ticket's last step."""
    return tr(TICKET_STATES.get(name, name))


def delivery(name: str, tr: Texts) -> str:
    """Name how a delivery stands."""
    return tr(DELIVERIES.get(name, name))


def event(name: str, tr: Texts) -> str:
    """Name a line of the journal."""
    return tr(EVENTS.get(name, name.replace("_", " ")))


def clock_label(name: str, tr: Texts) -> tuple[str, str]:
    """Name a running clock, and the same when it is over."""
    if name == "depart":
        return tr("to leave"), tr("late to leave")
    if name == "arrive":
        return tr("to arrive"), tr("late to arrive")
    known = tr(service_words.CLOCKS.get(name, name))
    return known, tr("{clock}: late", clock=known)


def refusal(code: str, tr: Texts) -> str:
    """Say why an act was refused."""
    return tr(REFUSALS.get(code, "It was refused: {code}"), code=code) if code not in REFUSALS else tr(REFUSALS[code])
