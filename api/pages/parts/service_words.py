"""The words of clocks, calls and the people who are told, as texts of the catalogues."""

from __future__ import annotations

from api.text import mark

CLOCKS = {
    "depart": mark("crew leaves"),
    "arrive": mark("crew on site"),
    "fix": mark("fault fixed"),
    "stay": mark("stay on site"),
    "recheck": mark("checked again"),
    "hand_over": mark("handed to a crew"),
    "visit": mark("visit"),
    "done": mark("done"),
    "dispatch": mark("dispatched"),
    "plan": mark("plan agreed"),
    "appointment": mark("appointment"),
    "survey": mark("survey"),
    "construction": mark("construction"),
    "clear": mark("site cleared"),
    "accept": mark("application accepted"),
    "first_answer": mark("first answer"),
    "solution": mark("solution"),
    "notice": mark("notice of a stop"),
    "restore": mark("supply back"),
}
TOLD = {
    "second_dispatcher": mark("second dispatcher"),
    "duty_manager": mark("duty manager"),
    "next_on_duty": mark("next on duty"),
    "crew": mark("crew"),
    "head_of_emergency": mark("head of emergency"),
    "head_of_operations": mark("head of operations"),
    "dispatcher": mark("dispatcher"),
    "supervisor": mark("supervisor"),
    "department_head": mark("head of department"),
    "owner": mark("person in charge"),
}
SAID = {
    "smell": mark("Smell of gas"),
    "hiss": mark("Hissing gas"),
    "fire": mark("Fire"),
    "ill": mark("Ill persons"),
    "no_gas": mark("No gas"),
    "meter_problem": mark("Problem with a meter"),
    "other": mark("Another fault"),
}
STANDINGS = {
    "breached": mark("too late"),
    "late": mark("overdue"),
    "not_recorded": mark("not recorded"),
}
LEVELS = {
    "station": mark("Service station"),
    "company": mark("Company"),
    "group": mark("Group"),
    "gas_on": mark("After gas-on"),
}
STEPS = {
    "confirmed": mark("to confirmed"),
    "departed": mark("to departed"),
    "arrived": mark("to on site"),
    "completed": mark("to completed"),
}
PAUSES = {
    "waiting_for_customer": mark("The customer is awaited"),
    "customer_absent": mark("The customer was absent"),
    "agreed_date": mark("A date was agreed"),
}
