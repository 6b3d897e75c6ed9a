"""Who may do what: the one table that pages and the API ask."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """What a person is to the gas company."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ENGINEER = "engineer"
    AUDITOR = "auditor"
    MANAGER = "manager"
    ADMINISTRATOR = "administrator"


class Act(StrEnum):
    """Something that a person may be allowed to do."""

    READ = "read"
    ALARM_ACKNOWLEDGE = "alarm.acknowledge"
    ALARM_SHELVE = "alarm.shelve"
    ALARM_RESET = "alarm.reset"
    ALARM_SUPERVISE = "alarm.supervise"
    DEFINITION_PROPOSE = "definition.propose"
    DEFINITION_APPROVE = "definition.approve"
    INTERRUPTION_PLAN = "interruption.plan"
    INTERRUPTION_RUN = "interruption.run"
    WORK_ITEM_DO = "work_item.do"
    CALL_TAKE = "call.take"
    CALL_BACK = "call.back"
    TICKET_TIMES = "ticket.times"
    TICKET_WORK = "ticket.work"
    TICKET_SUPERVISE = "ticket.supervise"
    CUSTOMER_READ = "customer.read"
    FINDING_INSPECT = "finding.inspect"
    FINDING_RELEASE = "finding.release"
    COMMAND_CLOSE = "command.close"
    COMMAND_OTHER = "command.other"
    COMMAND_APPROVE = "command.approve"
    READING_AUDIT = "reading.audit"
    READING_DECIDE = "reading.decide"
    DEAD_LETTER_READ = "dead_letter.read"
    DEAD_LETTER_REPLAY = "dead_letter.replay"
    AUDIT_READ = "audit.read"
    CONFIGURATION_RELOAD = "configuration.reload"
    ACCOUNT_OWN = "account.own"
    USER_MANAGE = "user.manage"
    TOKEN_OWN = "token.own"  # noqa: S105
    TOKEN_ALL = "token.all"  # noqa: S105


_EVERYONE = frozenset(Role)
_DESK = frozenset({Role.OPERATOR, Role.MANAGER, Role.ADMINISTRATOR})
_SUPERVISORS = frozenset({Role.MANAGER, Role.ADMINISTRATOR})

ALLOWED: dict[Act, frozenset[Role]] = {
    Act.READ: _EVERYONE,
    Act.ALARM_ACKNOWLEDGE: _DESK,
    Act.ALARM_SHELVE: _DESK,
    Act.ALARM_RESET: _DESK,
    Act.ALARM_SUPERVISE: _SUPERVISORS,
    Act.DEFINITION_PROPOSE: frozenset({Role.ENGINEER, Role.MANAGER, Role.ADMINISTRATOR}),
    Act.DEFINITION_APPROVE: _SUPERVISORS,
    Act.INTERRUPTION_PLAN: frozenset({Role.ENGINEER, Role.MANAGER, Role.ADMINISTRATOR}),
    Act.INTERRUPTION_RUN: _DESK,
    Act.WORK_ITEM_DO: frozenset({Role.OPERATOR, Role.ENGINEER, Role.MANAGER, Role.ADMINISTRATOR}),
    Act.CALL_TAKE: _DESK,
    Act.CALL_BACK: _DESK,
    Act.TICKET_TIMES: _SUPERVISORS,
    Act.TICKET_WORK: _DESK,
    Act.TICKET_SUPERVISE: _SUPERVISORS,
    Act.CUSTOMER_READ: _EVERYONE - {Role.VIEWER},
    Act.FINDING_RELEASE: frozenset({Role.ENGINEER, Role.MANAGER, Role.ADMINISTRATOR}),
    Act.FINDING_INSPECT: frozenset({Role.ENGINEER, Role.AUDITOR, Role.ADMINISTRATOR}),
    Act.COMMAND_CLOSE: frozenset({Role.OPERATOR, Role.ENGINEER, Role.ADMINISTRATOR}),
    Act.COMMAND_OTHER: frozenset({Role.ENGINEER, Role.ADMINISTRATOR}),
    Act.COMMAND_APPROVE: frozenset({Role.ENGINEER, Role.ADMINISTRATOR}),
    Act.READING_AUDIT: frozenset({Role.ENGINEER, Role.AUDITOR, Role.ADMINISTRATOR}),
    Act.READING_DECIDE: frozenset({Role.AUDITOR, Role.ADMINISTRATOR}),
    Act.DEAD_LETTER_READ: frozenset({Role.ENGINEER, Role.AUDITOR, Role.MANAGER, Role.ADMINISTRATOR}),
    Act.DEAD_LETTER_REPLAY: frozenset({Role.ENGINEER, Role.ADMINISTRATOR}),
    Act.AUDIT_READ: frozenset({Role.AUDITOR, Role.MANAGER, Role.ADMINISTRATOR}),
    Act.CONFIGURATION_RELOAD: frozenset({Role.ADMINISTRATOR}),
    Act.ACCOUNT_OWN: _EVERYONE,
    Act.USER_MANAGE: frozenset({Role.ADMINISTRATOR}),
    Act.TOKEN_OWN: _EVERYONE,
    Act.TOKEN_ALL: frozenset({Role.ADMINISTRATOR}),
}


def may(role: Role, act: Act) -> bool:
    """Return True if a role may do an act."""
    return role in ALLOWED[act]


def may_give(own: Role, role: Role) -> bool:
    """Return True if somebody of a role may make a token of another: of their own, or to read only."""
    return own is Role.ADMINISTRATOR or role in (own, Role.VIEWER)
