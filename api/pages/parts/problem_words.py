"""What `gasgate check` finds, in the reader's language: its English texts are taken apart by their patterns."""

from __future__ import annotations

import re
from functools import cache

from api.pages.parts.letter_words import REASONS
from api.text import Texts, mark

OURS = (
    mark("is no known key; remove it or correct its spelling (gasgate check --keys lists them all)"),
    mark("is missing; add it"),
    mark('kind is "{kind}"; allowed: {allowed}'),
    mark("kind is missing; it says which of the kinds this table is"),
    mark('must be "HOST:PORT", for example "127.0.0.1:8080"'),
    mark('must be like "https://gas.example.com"'),
    mark('must be an address such as "192.0.2.10" or a network such as "192.0.2.0/28"'),
    mark("accounts.oidc needs web.public_url: the address to which the identity provider sends people back"),
    mark("keep.listen and web.listen are both {address}; give each its own port"),
    mark("{table}: the name {name} is used twice; every {table} needs its own"),
    mark("cannot be read: {reason}"),
    mark("is not UTF-8 text: {reason} at byte {place}"),
    mark("is not TOML: {reason}"),
    mark('must be a list of file patterns, for example ["sources/*.toml"]'),
    mark("{pattern} is no pattern of files beside it"),
    mark("there is no file {pattern} beside it"),
    mark("stands in {main} already; only lists may be spread over files"),
    mark('"{zone}" is no IANA time zone; one is "Asia/Shanghai"'),
    mark("{zone} is no time zone: write for example Asia/Shanghai"),
    mark("a clock runs forward, not {factor} times"),
    mark(
        'a secret must not stand in the configuration: write {{ env = "NAME" }} or {{ file = "path" }}, and '
        "change the secret that was written here"
    ),
    mark('name one source: {{ env = "NAME" }} or {{ file = "path" }}'),
    mark("environment variable {name} is empty: set it to the secret"),
    mark("{file}: cannot read the secret: {reason}"),
    mark("{file}: the secret is not UTF-8 text; write it as text"),
    mark("{file}: the file is empty: write the secret into it"),
    mark("{file}: every user of this machine may read the secret or change it; chmod o-rw it"),
    mark("{file}: {word} on {day}; put a new certificate there"),
    mark("certificate files cannot be used: {reason}"),
    mark("{file}: cannot be used as a certificate authority: {reason}"),
    mark("ca, certificate, key and server_name are for tls://"),
    mark("certificate and key belong together: give both"),
    mark("{url}: the secret travels readable for everybody on the way; use https"),
    mark("webhook secret: must be whsec_ and base64 text"),
    mark("column {names} is missing; add it to the header"),
    mark("cannot read: {reason}; put the file there"),
    mark("not a CSV file in UTF-8: {reason}; export it again"),
    mark("more than {most} rows; split the network"),
    mark("is empty; give every row an id"),
    mark("{name} holds a slash, which separates asset and quantity; rename it"),
    mark("{name} stands here twice; remove one"),
    mark("{text} is unknown; use one of {allowed}"),
    mark("{text} cannot be used ({reason}); correct it"),
    mark("a number of at least {least} is wanted"),
    mark("not a finite number"),
    mark("{least} to {most} is wanted"),
    mark("{name} is no zone; add it to zones.csv"),
    mark("{name} is no zone; add it or leave the cell empty"),
    mark("{name} lies below itself; break the ring"),
    mark("{name} is not <asset>/{quantity}; rename it"),
    mark("{low} is not below the high limit {high}; exchange them"),
    mark("larger than {most} bytes; simplify the lines"),
    mark("not readable as GeoJSON: {reason}; export it again"),
    mark("not a FeatureCollection; wrap the features in one"),
    mark("{url} is no Modbus address: write {forms}"),
    mark("{url} is no broker: write mqtt://host:port or mqtts://host:port"),
    mark("{url} leads to no bus: write {forms}"),
    mark("a serial line has one connection"),
    mark("rtu needs data_bits = 8"),
    mark("serial is for rtu:///dev/... and ascii:///dev/..."),
    mark("unit {unit}: devices on a serial line have the numbers 1 to {last}"),
    mark("link {link}: unit {unit} appears twice"),
    mark("{line} appears in two links: a serial line has one owner"),
    mark("{asset} is neither in meters.csv, stations.csv nor points.csv"),
    mark("meter {meter} is not in meters.csv"),
    mark("{point} is read by {one} and by {other}: one of them is wrong"),
    mark("{point} is read by {other} too: one of them is wrong"),
    mark("{device} is the same device; read it over one link"),
    mark("source {other} has the client_id {name} at the same broker; each needs its own"),
    mark("{one} overlaps with {other} of {source}: {what}; make them distinct"),
    mark("the first of them reads what fits both"),
    mark("both read what fits both"),
    mark(
        "its polls take about {share} of its time (more than {most}): poll less often, raise max_gap or "
        "max_registers in the profiles, or use more links"
    ),
    mark("profile {name} is not shipped: use one of {allowed}, or a path that ends in .toml"),
    mark("{file}: cannot read the profile: {reason}"),
    mark("profile {name} has points of its own: name the asset that they belong to"),
    mark("profile {name} has {slots} slots, but {count} members are given"),
    mark("profile {name} has no identity register: leave identity out"),
    mark("{name}: {key} does not stand in this reply; there stand {known}"),
    mark("{name}: {key} is {value}, not {wanted}"),
    mark("function {function} reads nothing: allowed are {allowed}"),
    mark("the request takes five bytes: function, address, count"),
    mark("{text} is no place: {form}"),
    mark("write table:address, for example holding:100 (zero-based), or a classic number such as 40101"),
    mark("address {address} is not between 0 and {last}"),
    mark("order {order} does not suit {kind}: allowed is {allowed}"),
    mark("{kind} is no type of a point: allowed are {allowed}"),
    mark("a profile needs at least one point, or members with points"),
    mark("{topic} needs the level {level} at most once"),
    mark("{path} is no path: write $.a.b or a.b[0], and [*] only in `each`"),
    mark('values names no quantity: write for example {{ register_measured_m3 = "v" }}'),
    mark("{filter} needs the level {{meter}}, or `meter` the path of the id, not both"),
    mark("identity compares with {{meter}}; a message about several meters has none"),
    mark("command {name} opens a valve from afar: that needs allow_open = true"),
    mark("command {name} does more than close a valve: that needs second_person = true"),
    mark("the first line must be {head}"),
    mark("{row} is no date; write e.g. 2027-02-06,0,Spring Festival"),
    mark("{row} and {other} cover the same tickets; make one of them inactive"),
    mark("cannot take EMERGENCY: it cannot look up tickets by their key"),
    mark("EMERGENCY cannot go to a program alone: name it in fallback_for"),
    mark('must look like "https://host/tickets", without user, query or fragment'),
    mark("passwords = false leaves no way to log in; add [accounts.oidc] or leave passwords on"),
    mark("{free} GiB are free on its disk, but {wanted}: use a larger disk"),
    mark("is {size}, but {wanted}: a damaged day could not be filled again"),
    mark("{text}; give it {more} or more"),
    mark("its Modbus devices alone bring {size} GiB a day"),
    mark("link {link} appears twice"),
    mark("command {name} appears twice"),
    mark("source {source}, link {link}, unit {unit}: {problem}"),
    mark("source {source}, link {link}: {problem}"),
    mark("source {source}, bus {bus}: {problem}"),
    mark("source {source}: {problem}"),
    mark("output {name}: {problem}"),
    mark("ticket_sink {name}: {problem}"),
    mark("profile {name}: {problem}"),
)
"""texts of gasgate, those that name a place before another text last; `{name}` stands for any text"""
LIBRARY = (
    mark("Input should be {wanted}"),
    mark("a valid integer"),
    mark("a valid number"),
    mark("a valid string"),
    mark("a valid boolean"),
    mark("a valid list"),
    mark("a valid tuple"),
    mark("a valid dictionary"),
    mark("greater than or equal to {least}"),
    mark("less than or equal to {most}"),
    mark("greater than {bound}"),
    mark("less than {bound}"),
    mark("String should have at least {least} character"),
    mark("String should have at most {most} characters"),
    mark("Tuple should have at least {least} item after validation, not {count}"),
    mark("String should match pattern '{pattern}'"),
)
"""those of pydantic, of values that are not of their kind"""
_PLACE = re.compile(r"\\{(\w+)\\}")
_DEEPEST = 5
_PLACES = 3
_LONGEST = 1_000


def problem(text: str, tr: Texts, depth: int = 0) -> str:
    """Return a problem's text in the reader's language; English where it is not one of ours."""
    if tr.language == "en" or len(text) > _LONGEST:
        return text
    for template, pattern in _patterns():
        found = pattern.fullmatch(text)
        if found is not None:
            parts = found.groupdict()
            if depth < _DEEPEST:
                parts = {name: problem(part, tr, depth + 1) for name, part in parts.items()}
            return (tr.messages.get(template) or template).format(**parts)
    return text


def placed(text: str, tr: Texts) -> str:
    """Return a problem that begins with file, line and key, its text in the reader's language."""
    head, rest = "", text
    for _ in range(_PLACES):
        said = problem(rest, tr)
        if said != rest:
            return head + said
        part, colon, rest = rest.partition(": ")
        if not colon:
            return text
        head += part + colon
    return text


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple((template, _pattern(template)) for template in (*REASONS, *OURS, *LIBRARY))


def _pattern(template: str) -> re.Pattern[str]:
    """Return what matches every text that a template gives; a name that comes again stands for the same text."""
    seen: set[str] = set()

    def place(found: re.Match[str]) -> str:
        name = found[1]
        known = name in seen
        seen.add(name)
        return f"(?P={name})" if known else f"(?P<{name}>.+?)"

    plain = re.escape(template.replace("{{", "\0").replace("}}", "\1"))
    return re.compile(_PLACE.sub(place, plain).replace("\0", r"\{").replace("\1", r"\}"), re.DOTALL)
