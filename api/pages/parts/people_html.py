"""HTML of the pages about people: who may come in, their sessions and tokens."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape
from zoneinfo import ZoneInfo

from api.pages.parts import act_words, words
from api.pages.parts.html import empty
from api.pages.parts.table_html import table
from api.passwords import SHORTEST
from api.roles import Act, Role
from api.services.format import UNKNOWN, number
from api.services.people import Person
from api.services.tokens import is_good
from api.text import LANGUAGES, Texts
from gateway.model.reading import from_us
from gateway.store.credential_rows import SessionRow, TokenRow


def moment(us: int | None, timezone: str, tr: Texts) -> str:
    """Return a moment of real time as local date and time, or that there was none."""
    if us is None:
        return f'<span class="gg-dim">{escape(tr("not yet"))}</span>'
    local = from_us(us).astimezone(ZoneInfo(timezone))
    return f"{local:%Y-%m-%d %H:%M}"


def persons(people: Sequence[Person], tr: Texts, timezone: str, me: str) -> str:
    """Return everybody with what is particular about them, and the way to change it."""
    rows = "".join(
        f"<tr><td>{escape(one.name)}{_beside(tr('you')) if one.name == me else ''}</td>"
        f'<td class="num">{number(one.sessions)}</td><td>{escape(tr(words.ROLES[one.role]))}</td>'
        f"<td>{_state(one, tr)}</td><td>{escape(LANGUAGES[one.language])}</td>"
        f"<td>{moment(one.last_login_at, timezone, tr)}</td>"
        f'<td class="gg-do"><button class="gg-button small" data-change="{escape(one.name)}" '
        f'aria-label="{escape(tr("Change {name}", name=one.name))}">{escape(tr("Change"))}</button></td></tr>'
        for one in people
    )
    head = (tr("Name"), tr("Sessions"), tr("Role"), tr("State"), tr("Language"), tr("Last log-in"), "")
    return table(head, rows, numbers=1, classes="gg-people")


def _state(one: Person, tr: Texts) -> str:
    told = []
    if one.disabled:
        told.append(f'<span class="gg-tag">{escape(tr("disabled"))}</span>')
    if one.locked_s is not None:
        minutes = number(max(1, round(one.locked_s / 60)))
        locked = tr("locked for {minutes} min", minutes=minutes)
        told.append(f'<span class="gg-state bad">{escape(locked)}</span>')
    if one.must_change:
        told.append(f'<span class="gg-dim">{escape(tr("has a first password"))}</span>')
    if one.vouched:
        told.append(f'<span class="gg-dim">{escape(tr("by the identity provider"))}</span>')
    return " ".join(told) or f'<span class="gg-dim">{escape(tr("may log in"))}</span>'


def options(chosen: str, known: Iterable[tuple[str, str]]) -> str:
    """Return the options of a choice."""
    return "".join(
        f'<option value="{escape(key)}"{" selected" if key == chosen else ""}>{escape(name)}</option>'
        for key, name in known
    )


def field(name: str, label: str, control: str) -> str:
    """Return a labelled control; `{name}` in it becomes its name."""
    return f'<label class="wide">{escape(label)}{control.replace("NAME", name)}</label>'


def _password(name: str, label: str, auto: str) -> str:
    box = f'<input class="gg-input" type="password" name="{name}" required maxlength="1000" autocomplete="{auto}">'
    return f'<label class="wide">{escape(label)}{box}</label>'


def _roles(tr: Texts) -> list[tuple[str, str]]:
    return [(role.value, tr(words.ROLES[role])) for role in Role]


def add_form(tr: Texts, suggestion: str, language: str) -> str:
    """Return the form that adds a person; the suggested password is to be told to them."""
    return (
        f'<h2>{escape(tr("Add a person"))}</h2><form class="gg-call" data-form="add"><fieldset class="first">'
        + field("name", tr("Name"), '<input class="gg-input" name="NAME" required maxlength="120" autocomplete="off">')
        + field(
            "role",
            tr("Role"),
            f'<select class="gg-input" name="NAME">{options(Role.OPERATOR, _roles(tr))}</select>',
        )
        + field(
            "language",
            tr("Language"),
            f'<select class="gg-input" name="NAME">{options(language, LANGUAGES.items())}</select>',
        )
        + _first_password(tr, suggestion)
        + f'</fieldset><button class="gg-button primary" type="submit">{escape(tr("Add"))}</button></form>'
    )


def _first_password(tr: Texts, suggestion: str) -> str:
    box = (
        f'<input class="gg-input" name="password" required minlength="{SHORTEST}" maxlength="1000" '
        f'autocomplete="off" spellcheck="false" value="{escape(suggestion)}">'
    )
    note = tr("Tell it to this person. It must be changed at the first log-in.")
    return f'<label class="wide">{escape(tr("First password"))}{box}<small>{escape(note)}</small></label>'


def change_form(one: Person, tr: Texts, suggestion: str) -> str:
    """Return what can be changed about a person."""
    parts = [f"<h2>{escape(one.name)}</h2>"]
    if one.vouched:
        note = tr("The identity provider says who this person is, and the role.")
        parts.append(f'<p class="gg-dim">{escape(note)}</p>')
    else:
        parts.append(
            f'<form class="gg-call gg-line" data-form="role"><label>{escape(tr("Role"))}<select class="gg-input" '
            f'name="role">{options(one.role, _roles(tr))}</select></label>'
            f'<button class="gg-button" type="submit">{escape(tr("Change the role"))}</button></form>'
            f'<form class="gg-call" data-form="password">{_first_password(tr, suggestion)}'
            f'<button class="gg-button" type="submit">{escape(tr("Give this password"))}</button></form>'
        )
    acts = [("enable", tr("Let in again")) if one.disabled else ("disable", tr("Keep out"))]
    if one.sessions:
        acts.append(("end", tr("End the sessions")))
    if one.locked_s is not None:
        acts.append(("unlock", tr("Unlock")))
    buttons = "".join(
        f'<form data-form="{act}"><button class="gg-button" type="submit">{escape(title)}</button></form>'
        for act, title in acts
    )
    note = tr("A new role or password, and keeping somebody out, end the sessions at once.")
    return f'{"".join(parts)}<div class="gg-choices">{buttons}</div><p class="gg-dim">{escape(note)}</p>'


def own_password_form(tr: Texts, *, must_change: bool) -> str:
    """Return the form for one's own password."""
    note = tr("Somebody else chose your password. Take one that only you know, then go on.") if must_change else ""
    rule = tr("At least {count} characters; a short sentence is easy to keep in mind.", count=SHORTEST)
    return (
        (f'<p role="alert" class="gg-note">{escape(note)}</p>' if note else "")
        + '<form class="gg-call gg-narrow"><fieldset class="first">'
        + _password("before", tr("Current password"), "current-password")
        + _password("after", tr("New password"), "new-password")
        + _password("again", tr("Repeat the new password"), "new-password")
        + f'</fieldset><p class="gg-dim">{escape(rule)}</p>'
        + f'<button class="gg-button primary" type="submit">{escape(tr("Change the password"))}</button></form>'
    )


def density(tr: Texts, *, dense: bool) -> str:
    """Return the choice of how much room rows of lists and tables take; the browser keeps it."""
    buttons = "".join(
        f'<button type="button" data-dense="{value}" aria-pressed="{str(pressed).lower()}" '
        f'onclick="gasgate.density(this.dataset.dense)">{escape(text)}</button>'
        for value, text, pressed in (("roomy", tr("Roomy"), not dense), ("dense", tr("Dense"), dense))
    )
    return f'<p>{escape(tr("Rows of lists and tables"))}</p><div class="gg-seg gg-density">{buttons}</div>'


def sessions(rows: Sequence[SessionRow], here: str, tr: Texts, timezone: str) -> str:
    """Return one's own sessions."""
    lines = "".join(
        f"<tr><td>{escape(row.origin) or UNKNOWN}{_beside(tr('this one')) if row.id == here else ''}</td>"
        f"<td>{moment(row.created_at, timezone, tr)}</td><td>{moment(row.used_at, timezone, tr)}</td>"
        f"<td>{moment(row.expires_at, timezone, tr)}</td></tr>"
        for row in rows
    )
    return table((tr("Address"), tr("Log-in"), tr("Last used"), tr("Ends")), lines)


def token_rows(rows: Sequence[TokenRow], tr: Texts, timezone: str, now_us: int) -> str:
    """Return API tokens, with the way to end each."""
    if not rows:
        note = tr("No token yet. A program shows one instead of a password.")
        return f'<div class="gg-empty">{empty(note)}</div>'
    lines = "".join(_token(row, tr, timezone, now_us) for row in rows)
    head = (tr("Name"), tr("Owner"), tr("Scope"), tr("Made on"), tr("Last used"), tr("Ends"), tr("State"), "")
    return table(head, lines)


def _token(row: TokenRow, tr: Texts, timezone: str, now_us: int) -> str:
    good = is_good(row, now_us)
    state = tr("revoked") if row.revoked else tr("valid") if good else tr("out of date")
    role = tr(words.ROLES.get(row.role, row.role))
    scope = tr("all that {role} may", role=role) if row.acts is None else tr("acts: {count}", count=len(row.acts))
    ends = moment(row.expires_at, timezone, tr) if row.expires_at is not None else escape(tr("never"))
    button = (
        f'<button class="gg-button small" data-revoke="{escape(row.id)}" '
        f'aria-label="{escape(tr("Revoke {name}", name=row.name))}">{escape(tr("Revoke"))}</button>'
        if good
        else ""
    )
    dim = "" if good else ' class="gg-over"'
    title = escape("" if row.acts is None else ", ".join(row.acts))
    return (
        f'<tr{dim}><td>{escape(row.name)}</td><td>{escape(row.owner)}</td><td title="{title}">{escape(scope)}</td>'
        f"<td>{moment(row.created_at, timezone, tr)}</td><td>{moment(row.last_used_at, timezone, tr)}</td>"
        f'<td>{ends}</td><td>{escape(state)}</td><td class="gg-do">{button}</td></tr>'
    )


def token_form(role: Role, scope: Sequence[Act], tr: Texts) -> str:
    """Return the form that makes a token; `scope` is what one's own role may."""
    roles = [(one.value, tr(words.ROLES[one])) for one in dict.fromkeys((Role.VIEWER, role))]
    days = [(str(count), tr("{count} days", count=count)) for count in (30, 90, 180, 366)]
    boxes = "".join(
        f'<label><input type="checkbox" name="act:{act.value}">{escape(act_words.act(act.value, tr))}</label>'
        for act in scope
    )
    return (
        f'<h2>{escape(tr("New token"))}</h2><form class="gg-call"><fieldset class="first">'
        + field("name", tr("What it is for"), '<input class="gg-input" name="NAME" required maxlength="120">')
        + field("role", tr("Role"), f'<select class="gg-input" name="NAME">{options(role, roles)}</select>')
        + field("days", tr("Good for"), f'<select class="gg-input" name="NAME">{options("90", days)}</select>')
        + f"</fieldset><p>{escape(tr('Only these acts; none chosen: all that the role may'))}</p>"
        + f'<div class="gg-scope" tabindex="0">{boxes}</div>'
        + f'<button class="gg-button primary" type="submit">{escape(tr("Make the token"))}</button></form>'
    )


def token_shown(text: str, tr: Texts) -> str:
    """Return a new token, which is shown this once."""
    note = tr("Copy it now: it is shown only this once, and only its hash is kept.")
    return (
        f"<h2>{escape(tr('New token'))}</h2><p>{escape(note)}</p>"
        f'<input class="gg-input gg-secret" readonly value="{escape(text)}" aria-label="{escape(tr("New token"))}" '
        'onfocus="this.select()">'
    )


def _beside(text: str) -> str:
    return f" <small>{escape(text)}</small>"


def stamp(when: datetime, timezone: str) -> str:
    """Return a moment of the site as local date and time with seconds."""
    return f"{when.astimezone(ZoneInfo(timezone)):%Y-%m-%d %H:%M:%S}"
