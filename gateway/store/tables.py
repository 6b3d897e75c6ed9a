"""The tables of the state database. Times are us UTC in BigInteger; JSON columns hold plain dicts."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData()
_serial = BigInteger().with_variant(Integer, "sqlite")

point = Table(
    "point",
    metadata,
    Column("index", _serial, primary_key=True, autoincrement=False),
    Column("point_id", String(200), nullable=False, unique=True),
)

cursor = Table(
    "cursor",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("seq", BigInteger, nullable=False),
)

stream = Table(
    "stream",
    metadata,
    Column("name", String(100), primary_key=True, comment="name of its cursor, which is the head"),
    Column("dropped", JSON, nullable=False, comment="readings of class A, B, C, D that are not streamed any more"),
)

stream_gap = Table(
    "stream_gap",
    metadata,
    Column("stream", String(100), primary_key=True),
    Column("upto", BigInteger, primary_key=True),
    Column("after", BigInteger, nullable=False),
    Column("rows", JSON(none_as_null=True), comment="readings of class A, B, C, D that wait; null = not counted yet"),
    Column("newest_us", BigInteger, nullable=False, comment="newest received time"),
    Column("classes", String(4), nullable=False, comment="what is still to be streamed"),
    comment="loads after < seq <= upto that an output has not taken although its head is further on",
)

memory = Table(
    "memory",
    metadata,
    Column("owner", String(100), primary_key=True),
    Column("name", String(200), primary_key=True),
    Column("fact", JSON, nullable=False),
    comment="small facts that a part wants back after a restart, such as addresses that a device does not have",
)

dead_letter = Table(
    "dead_letter",
    metadata,
    Column("id", _serial, primary_key=True, autoincrement=True),
    Column("seq", BigInteger, nullable=False),
    Column("ordinal", Integer, nullable=False),
    Column("source", String(100), nullable=False),
    Column("topic", String(500), nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("reason", String(200), nullable=False),
    Column("received_at", BigInteger, nullable=False),
    UniqueConstraint("seq", "ordinal"),
)

alarm = Table(
    "alarm",
    metadata,
    Column("alarm_id", String(200), primary_key=True),
    Column("definition", String(60), nullable=False, index=True),
    Column("asset", String(120), nullable=False, index=True),
    Column("state", String(2), nullable=False, index=True, comment="derived; for queries only, never read as truth"),
    Column("priority", Integer, nullable=False),
    Column("cond", Boolean, nullable=False),
    Column("occurrence_no", Integer, nullable=False),
    Column("acked", Boolean, nullable=False),
    Column("latched", Boolean, nullable=False),
    Column("shelf", JSON(none_as_null=True)),
    Column("sbd", JSON, nullable=False),
    Column("oos", JSON(none_as_null=True)),
    Column("uncertain", Boolean, nullable=False),
    Column("announced_no", Integer, nullable=False),
    Column("silenced_until", BigInteger),
    Column("source_at", BigInteger),
    Column("condition_at", BigInteger),
    Column("raised_at", BigInteger),
    Column("acked_at", BigInteger),
    Column("acked_by", String(120), nullable=False),
    Column("cleared_at", BigInteger),
    Column("value", Float),
    Column("definition_rev", Integer, nullable=False),
    Column("version", Integer, nullable=False),
)

journal = Table(
    "journal",
    metadata,
    Column("seq", _serial, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False, index=True),
    Column("alarm_id", String(200), nullable=False, index=True),
    Column("occurrence_no", Integer, nullable=False),
    Column("event", String(40), nullable=False),
    Column("before", JSON, nullable=False),
    Column("after", JSON, nullable=False),
    Column("actor", String(120), nullable=False),
    Column("reason", Text, nullable=False),
    Column("hash", String(64), nullable=False, comment="SHA-256 over this row and the hash of the row before"),
)

running_timer = Table(
    "running_timer",
    metadata,
    Column("alarm_id", String(200), primary_key=True),
    Column("since", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("seen", BigInteger, nullable=False),
    Column("period", BigInteger, nullable=False),
    Column("value", Float, nullable=False),
    comment="delays of limit judging that ran when the reader's cursor was committed; us UTC",
)

ticket = Table(
    "ticket",
    metadata,
    Column("ticket_no", String(40), primary_key=True),
    Column("dedup_key", String(300), nullable=False, unique=True),
    Column("ticket_class", String(20), nullable=False),
    Column("type", String(60), nullable=False),
    Column("asset", String(120), nullable=False),
    Column("join_group", String(40), nullable=False),
    Column("scope", String(120), nullable=False),
    Column("state", String(20), nullable=False, index=True),
    Column("raised_at", BigInteger, nullable=False, index=True),
    Column("depart_by", BigInteger),
    Column("arrive_by", BigInteger),
    Column("title", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("external_id", String(120), nullable=False, default=""),
    Column("external_url", Text, nullable=False, default=""),
    Column("external_version", Integer, nullable=False, default=0),
    Column("dispatched_at", BigInteger),
    Column("departed_at", BigInteger),
    Column("arrived_at", BigInteger),
    Column("completed_at", BigInteger),
    Column("joinable", Boolean, nullable=False, default=True),
    Column("clocked", Boolean, comment="true once its clocks are set"),
)
Index(
    "tickets_without_clocks",
    ticket.c.ticket_no,
    sqlite_where=text("clocked IS NULL"),
    postgresql_where=text("clocked IS NULL"),
)
Index(
    "one_joinable_ticket",
    ticket.c.join_group,
    ticket.c.scope,
    ticket.c.ticket_class,
    unique=True,
    sqlite_where=text("joinable = 1"),
    postgresql_where=text("joinable"),
)

ticket_alarm = Table(
    "ticket_alarm",
    metadata,
    Column("alarm_id", String(200), primary_key=True),
    Column("occurrence_no", Integer, primary_key=True),
    Column("ticket_no", String(40), ForeignKey("ticket.ticket_no"), nullable=False, index=True),
)

ticket_event = Table(
    "ticket_event",
    metadata,
    Column("id", _serial, primary_key=True, autoincrement=True),
    Column("source", String(120), nullable=False),
    Column("event_id", String(120), nullable=False),
    Column("ticket_no", String(40), nullable=False, index=True),
    Column("type", String(30), nullable=False),
    Column("version", Integer, nullable=False),
    Column("occurred_at", BigInteger, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("actor", String(120), nullable=False),
    Column("data", JSON, nullable=False),
    UniqueConstraint("source", "event_id"),
)

ticket_step = Table(
    "ticket_step",
    metadata,
    Column("id", _serial, primary_key=True, autoincrement=True),
    Column("ticket_no", String(40), nullable=False, index=True),
    Column("step", String(40), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("entered_at", BigInteger, nullable=False),
    Column("actor", String(120), nullable=False),
    Column("note", Text, nullable=False, default=""),
    comment="steps that gasgate itself knows: a call was taken, a check was released",
)

ticket_clock = Table(
    "ticket_clock",
    metadata,
    Column("ticket_no", String(40), primary_key=True),
    Column("clock", String(40), primary_key=True),
    Column("promise", JSON, nullable=False, comment="the row that was in force when the ticket was opened"),
    Column("standing", String(20), nullable=False),
    Column("started_at", BigInteger),
    Column("due_at", BigInteger),
    Column("stopped_at", BigInteger),
    Column("provisional", Boolean, nullable=False, default=False),
    Column("agreed_at", BigInteger, comment="due time that was agreed with the customer"),
    Column("next_at", BigInteger, index=True, comment="when time alone changes it; null = never"),
)

clock_change = Table(
    "clock_change",
    metadata,
    Column("id", _serial, primary_key=True, autoincrement=True),
    Column("ticket_no", String(40), nullable=False, index=True),
    Column("clock", String(40), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("actor", String(120), nullable=False),
    Column("reason", Text, nullable=False),
    Column("old_due_at", BigInteger),
    Column("new_due_at", BigInteger),
    comment="a due time that was shown changes only by a recorded act",
)

clock_pause = Table(
    "clock_pause",
    metadata,
    Column("id", _serial, primary_key=True, autoincrement=True),
    Column("ticket_no", String(40), nullable=False, index=True),
    Column("since", BigInteger, nullable=False),
    Column("until", BigInteger),
    Column("reason", String(60), nullable=False),
    Column("actor", String(120), nullable=False),
)

escalation = Table(
    "escalation",
    metadata,
    Column("ticket_no", String(40), primary_key=True),
    Column("clock", String(40), primary_key=True),
    Column("rung", Integer, primary_key=True),
    Column("repetition", Integer, primary_key=True),
    Column("tell", String(40), nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("told_at", BigInteger, nullable=False, index=True),
    Column("breach", Boolean, nullable=False),
    comment="who was told that a clock runs out; each step once",
)

call_report = Table(
    "call_report",
    metadata,
    Column("id", _serial, primary_key=True, autoincrement=True),
    Column("request_id", String(100), nullable=False, unique=True),
    Column("ticket_no", String(40), nullable=False, index=True),
    Column("called_at", BigInteger, nullable=False, index=True),
    Column("entered_at", BigInteger, nullable=False),
    Column("taker", String(120), nullable=False),
    Column("joined", Boolean, nullable=False, comment="the call taker put it to an open ticket"),
    Column("said", JSON, nullable=False, comment="all that the caller said, as far as it was asked"),
    comment="what people reported by telephone",
)

call_back = Table(
    "call_back",
    metadata,
    Column("ticket_no", String(40), primary_key=True),
    Column("level", String(20), primary_key=True),
    Column("unit", String(120), nullable=False),
    Column("crew", String(120), nullable=False),
    Column("month", String(7), nullable=False, index=True),
    Column("drawn_at", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("tries", JSON, nullable=False, comment="{at, by, reached} of each try"),
    Column("answers", JSON(none_as_null=True), comment="what the customer said"),
    Column("closed_at", BigInteger),
)

call_back_seed = Table(
    "call_back_seed",
    metadata,
    Column("month", String(7), primary_key=True),
    Column("seed", String(80), nullable=False, comment="shown when the month is over; its hash before"),
    Column("made_at", BigInteger, nullable=False),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", _serial, primary_key=True, autoincrement=True),
    Column("ticket_no", String(40), ForeignKey("ticket.ticket_no"), nullable=False),
    Column("command", String(20), nullable=False),
    Column("command_no", Integer, nullable=False),
    Column("sink", String(60), nullable=False),
    Column("state", String(12), nullable=False, index=True),
    Column("webhook_id", String(60), nullable=False, unique=True),
    Column("body", JSON, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("created_at", BigInteger, nullable=False),
    Column("wall_created_at", Float, nullable=False, comment="real seconds since 1970: retries count real time"),
    Column("next_at", Float, nullable=False, comment="real seconds since 1970"),
    Column("confirmed_at", BigInteger),
    Column("wall_confirmed_at", Float),
    Column("last_error", Text, nullable=False, default=""),
    Column("cause", String(20), comment="why it is not confirmed, in one word of `gateway.model.ticket.Cause`"),
    UniqueConstraint("ticket_no", "command_no"),
)

ticket_fallback = Table(
    "ticket_fallback",
    metadata,
    Column("id", _serial, primary_key=True, autoincrement=True),
    Column("ticket_no", String(40), ForeignKey("ticket.ticket_no"), nullable=False),
    Column("sink", String(60), nullable=False),
    Column("state", String(12), nullable=False),
    Column("webhook_id", String(60), nullable=False, unique=True),
    Column("attempts", Integer, nullable=False),
    Column("wall_created_at", Float, nullable=False, comment="real seconds since 1970"),
    Column("next_at", Float, nullable=False, comment="real seconds since 1970"),
    Column("wall_confirmed_at", Float),
    Column("last_error", Text, nullable=False),
    UniqueConstraint("ticket_no", "sink"),
    comment="tickets that went another way because the receiver of their class did not confirm them in time",
)

ticket_difference = Table(
    "ticket_difference",
    metadata,
    Column("id", _serial, primary_key=True, autoincrement=True),
    Column("kind", String(20), nullable=False),
    Column("sink", String(60), nullable=False),
    Column("dedup_key", String(300), nullable=False, index=True),
    Column("ticket_no", String(40), nullable=False, index=True, comment="empty if it is not ours"),
    Column("external_id", String(120), nullable=False),
    Column("detail", JSON, nullable=False),
    Column("found_at", BigInteger, nullable=False),
    Column("settled_at", BigInteger, index=True),
    Column("outcome", Text, nullable=False),
    comment="where gasgate and a ticketing system disagreed, and what was done about it; rows are kept",
)

ticket_act = Table(
    "ticket_act",
    metadata,
    Column("id", _serial, primary_key=True, autoincrement=True),
    Column("ticket_no", String(40), ForeignKey("ticket.ticket_no"), nullable=False, index=True),
    Column("act", String(30), nullable=False),
    Column("who", String(120), nullable=False),
    Column("reason", Text, nullable=False),
    Column("data", JSON, nullable=False),
    Column("at", BigInteger, nullable=False),
    comment="what people, or gasgate itself, did with a ticket beside sending it; rows are only ever added",
)

finding = Table(
    "finding",
    metadata,
    Column("id", _serial, primary_key=True, autoincrement=True),
    Column("kind", String(30), nullable=False),
    Column("zone", String(120), nullable=False, index=True),
    Column("meter", String(120)),
    Column("subject", String(120), nullable=False, index=True),
    Column("episode_no", Integer, nullable=False),
    Column("status", String(20), nullable=False),
    Column("detected_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("onset", BigInteger, nullable=False),
    Column("score", Float, nullable=False),
    Column("estimate_m3_per_day", Float),
    Column("evidence", JSON, nullable=False),
    Column("cause", String(20), comment="why it is over"),
    Column("inspected_at", BigInteger),
    UniqueConstraint("kind", "subject", "episode_no"),
)

inspection = Table(
    "inspection",
    metadata,
    Column("id", _serial, primary_key=True, autoincrement=True),
    Column("finding_id", _serial, ForeignKey("finding.id"), nullable=False, index=True),
    Column("at", BigInteger, nullable=False),
    Column("who", String(120), nullable=False),
    Column("result", String(20), nullable=False),
    Column("found_kind", String(30), nullable=False, comment="what it really was; empty: what was suspected"),
    Column("found_m3_per_day", Float),
    Column("note", Text, nullable=False),
    comment="what people found; rows are only ever added",
)

loss = Table(
    "loss",
    metadata,
    Column("zone", String(120), primary_key=True),
    Column("gas_day", String(10), primary_key=True, index=True),
    Column("revision", Integer, primary_key=True),
    Column("supply_m3", Float),
    Column("metered_m3", Float),
    Column("linepack_m3", Float),
    Column("loss_m3", Float),
    Column("loss_rate", Float),
    Column("sigma", Float),
    Column("coverage", Float, nullable=False),
    Column("verdict", String(20), nullable=False),
    Column("reason", Text, nullable=False),
    Column("computed_at", BigInteger, nullable=False),
    Column("steady_sigma", Float),
    Column("between_m3", Float),
    Column("between_sigma_m3", Float),
    Column("terms", JSON(none_as_null=True)),
)

user = Table(
    "user",
    metadata,
    Column("name", String(120), primary_key=True),
    Column("password_hash", Text, nullable=False),
    Column("role", String(20), nullable=False),
    Column("language", String(5), nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

api_token = Table(
    "api_token",
    metadata,
    Column("id", String(20), primary_key=True),
    Column("name", String(120), nullable=False),
    Column("owner", String(120), ForeignKey("user.name"), nullable=False),
    Column("hash", String(64), nullable=False, comment="SHA-256 of the secret half"),
    Column("role", String(20), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("revoked", Boolean, nullable=False),
)

session = Table(
    "session",
    metadata,
    Column("id", String(20), primary_key=True),
    Column("owner", String(120), ForeignKey("user.name"), nullable=False, index=True),
    Column("hash", String(64), nullable=False, comment="SHA-256 of the secret half"),
    Column("created_at", BigInteger, nullable=False, comment="real time: a session ends by people's clocks"),
    Column("expires_at", BigInteger, nullable=False, comment="real time"),
)

audit = Table(
    "audit",
    metadata,
    Column("seq", _serial, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False, index=True),
    Column("who", String(120), nullable=False),
    Column("act", String(60), nullable=False),
    Column("subject", String(200), nullable=False),
    Column("detail", JSON, nullable=False),
)

answer = Table(
    "answer",
    metadata,
    Column("request_id", String(100), primary_key=True),
    Column("who", String(120), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("status", Integer, nullable=False),
    Column("body", JSON, nullable=False),
    comment="first answer to each request id; the same id again gets it and does nothing",
)

device_command = Table(
    "device_command",
    metadata,
    Column("id", _serial, primary_key=True, autoincrement=True),
    Column("key", String(100), nullable=False, unique=True),
    Column("asset", String(120), nullable=False, index=True),
    Column("name", String(40), nullable=False),
    Column("reason", Text, nullable=False),
    Column("who", String(120), nullable=False),
    Column("offer", JSON, nullable=False, comment="what was offered when it was asked for"),
    Column("state", String(12), nullable=False, index=True),
    Column("open", Boolean, nullable=False),
    Column("requested_at", BigInteger, nullable=False),
    Column("wall_requested", Float, nullable=False, index=True, comment="real seconds since 1970"),
    Column("wall_asked", Float, nullable=False, comment="real seconds since 1970, of the request or the approval"),
    Column("decided_by", String(120), nullable=False, default=""),
    Column("decided_at", BigInteger),
    Column("sent_at", BigInteger),
    Column("ended_at", BigInteger),
    Column("request_frame", Text, nullable=False, default=""),
    Column("reply_frame", Text, nullable=False, default=""),
    Column("read_frames", Text, nullable=False, default=""),
    Column("read_value", Float),
    Column("read_at", BigInteger),
    Column("detail", Text, nullable=False, default=""),
)
Index(
    "one_open_command",
    device_command.c.asset,
    unique=True,
    sqlite_where=text("open = 1"),
    postgresql_where=text("open"),
)

revision = Table(
    "revision",
    metadata,
    Column("id", _serial, primary_key=True, autoincrement=True),
    Column("number", Integer, nullable=False, comment="of the configuration that held afterwards"),
    Column("at", BigInteger, nullable=False, comment="real us UTC"),
    Column("who", String(120), nullable=False),
    Column("outcome", String(10), nullable=False, comment="started, reloaded or refused"),
    Column("digest", String(64), nullable=False, comment="of all its files; of those that held on if it was refused"),
    Column("fixed", JSON, nullable=False, comment="values that a reload must not change"),
    Column("problems", JSON, nullable=False, comment="why it was refused"),
    comment="every start and reload with another configuration; the newest that was not refused is the one to run",
)

state_restoration = Table(
    "state_restoration",
    metadata,
    Column("id", _serial, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False, comment="real us UTC"),
    Column("copied_at", BigInteger, comment="real us UTC at which the copy was made; null = there was none"),
    Column("problem", Text, nullable=False),
    Column("aside", Text, nullable=False, comment="folder of the damaged files"),
    comment="each time the state was restored from a copy; ticket keys made after it differ from all before",
)

role_health = Table(
    "role_health",
    metadata,
    Column("role", String(20), primary_key=True),
    Column("pid", Integer, nullable=False),
    Column("at", Float, nullable=False, comment="real seconds since 1970"),
    Column("ok", Boolean, nullable=False),
    Column("detail", JSON, nullable=False),
)

vee_verdict = Table(
    "vee_verdict",
    metadata,
    Column("id", _serial, primary_key=True, autoincrement=True),
    Column("meter", String(120), nullable=False),
    Column("point_id", String(200), nullable=False),
    Column("source_time", BigInteger, nullable=False, comment="of the reading, or beginning of the gas day"),
    Column("rule", String(8), nullable=False),
    Column("version", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("holds", Boolean, nullable=False, comment="False: later readings took the verdict back"),
    Column("result", String(12), nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("evidence", JSON, nullable=False),
    Column("written_at", BigInteger, nullable=False),
    UniqueConstraint("point_id", "source_time", "rule", "revision"),
    Index("vee_verdict_of_meter", "meter", "source_time"),
    comment="rows are only ever added",
)

interval = Table(
    "interval",
    metadata,
    Column("meter", String(120), primary_key=True),
    Column("gas_day", String(10), primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("begins", BigInteger, nullable=False),
    Column("ends", BigInteger, nullable=False),
    Column("units", BigInteger, comment="whole register units; null = missing"),
    Column("decimals", Integer, nullable=False, comment="m3 = units / 10**decimals"),
    Column("status", String(10), nullable=False),
    Column("method", String(16), nullable=False),
    Column("rules", String(80), nullable=False, comment="codes of the rules that throw doubt on it"),
    Column("left_at", BigInteger, comment="the reading before that it rests on"),
    Column("right_at", BigInteger, comment="the reading after that it rests on"),
    Column("step_units", BigInteger, comment="register step between the two"),
    Column("computed_at", BigInteger, nullable=False),
    Index("interval_of_day", "gas_day", "meter"),
    comment="written by the first release only; moved to files at the next audit",
)

reading_choice = Table(
    "reading_choice",
    metadata,
    Column("id", _serial, primary_key=True, autoincrement=True),
    Column("meter", String(120), nullable=False, index=True),
    Column("source_time", BigInteger, nullable=False),
    Column("value", Float, comment="the value that counts; null = the choice is taken back"),
    Column("who", String(120), nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    comment="which of several values of one device time counts; rows are only ever added, the newest holds",
)

interval_edit = Table(
    "interval_edit",
    metadata,
    Column("id", _serial, primary_key=True, autoincrement=True),
    Column("meter", String(120), nullable=False, index=True),
    Column("gas_day", String(10), nullable=False),
    Column("units", BigInteger, comment="whole register units; null = the edit is taken back"),
    Column("who", String(120), nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    comment="gas days that a person set by hand; rows are only ever added, the newest holds",
)

removal = Table(
    "removal",
    metadata,
    Column("id", _serial, primary_key=True, autoincrement=True),
    Column("request_id", String(100), nullable=False, unique=True),
    Column("alarm_id", String(200), nullable=False, index=True),
    Column("work_order", String(120), nullable=False),
    Column("interim", Text, nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("by", String(120), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("state", String(12), nullable=False, index=True, comment="asked, agreed or refused"),
    Column("decided_by", String(120), nullable=False, default=""),
    Column("decided_at", BigInteger),
    comment="a highly managed alarm leaves service only when a second person agrees",
)

interruption = Table(
    "interruption",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("request_id", String(100), nullable=False, unique=True),
    Column("zones", JSON, nullable=False),
    Column("assets", JSON, nullable=False),
    Column("reason", Text, nullable=False),
    Column("emergency", Boolean, nullable=False),
    Column("announced_at", BigInteger, nullable=False),
    Column("planned_start", BigInteger, nullable=False),
    Column("planned_end", BigInteger, nullable=False),
    Column("by", String(120), nullable=False),
    Column("short_notice", Boolean, nullable=False, comment="announced too late; a breach of the promise"),
    Column("closed_at", BigInteger),
    Column("closed_by", String(120), nullable=False, default=""),
    Column("restored_at", BigInteger),
    Column("restored_by", String(120), nullable=False, default=""),
    Column("cancelled_at", BigInteger),
    Column("cancelled_by", String(120), nullable=False, default=""),
)

interruption_notice = Table(
    "interruption_notice",
    metadata,
    Column("id", _serial, primary_key=True, autoincrement=True),
    Column("interruption", String(40), ForeignKey("interruption.id"), nullable=False, index=True),
    Column("at", BigInteger, nullable=False),
    Column("channel", String(40), nullable=False),
    Column("customers", Integer, nullable=False),
    Column("who", String(120), nullable=False),
    comment="notices that went out; rows are only ever added",
)

definition_row = Table(
    "definition_row",
    metadata,
    Column("id", _serial, primary_key=True, autoincrement=True),
    Column("definition", String(60), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("row", JSON, nullable=False),
    Column("state", String(12), nullable=False, index=True, comment="proposed, approved or refused"),
    Column("author", String(120), nullable=False),
    Column("reason", Text, nullable=False),
    Column("made_at", BigInteger, nullable=False),
    Column("decided_by", String(120), nullable=False, default=""),
    Column("decided_at", BigInteger),
    Column("next_review", String(10), comment="local day by which it is to be looked at again"),
    UniqueConstraint("definition", "revision"),
    comment="changes of the master alarm database; the newest approved row of a definition is in force",
)

work_item = Table(
    "work_item",
    metadata,
    Column("id", _serial, primary_key=True, autoincrement=True),
    Column("key", String(300), nullable=False, unique=True, comment="kind, subject and what made it: one item each"),
    Column("kind", String(30), nullable=False),
    Column("subject", String(200), nullable=False),
    Column("detail", JSON, nullable=False),
    Column("made_at", BigInteger, nullable=False, index=True),
    Column("done_at", BigInteger),
    Column("done_by", String(120), nullable=False, default=""),
    Column("note", Text, nullable=False, default=""),
    comment="work that is not this operator's now: repairs, exchanges, batteries",
)
