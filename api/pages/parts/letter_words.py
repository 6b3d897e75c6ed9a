"""Why messages could not become readings, as the collectors say it, for `problem_words`."""

from __future__ import annotations

from api.text import mark

REASONS = (
    mark("not JSON"),
    mark("not JSON: nested too deeply"),
    mark("not CSV"),
    mark("no mapping for this topic"),
    mark("unknown meter in the topic"),
    mark("unknown meter in the message: {meter}"),
    mark("identity: a reading names no meter"),
    mark("identity: the message is of another meter than its topic"),
    mark("identity: this topic may not speak for a meter in the message"),
    mark("identity: this topic may not speak for that meter"),
    mark("too large: {size} bytes, at most {most}"),
    mark("shape: none of the mapped values is in the message"),
    mark("shape: {path} is no list"),
    mark("shape: a line has more or fewer fields than the first"),
    mark("shape: a mapped value is no list"),
    mark("shape: a reading is neither an object nor a list"),
    mark("shape: the first line names no fields, or one twice"),
    mark("shape: the lists differ in length"),
    mark("shape: the times are no list as long as the values"),
    mark("shape: this kind of message has another topic"),
    mark("time: it cannot be read, or is before 2000 or after 2100"),
    mark("time: several values, and none says when"),
    mark("time: the step is no number of seconds, or longer than 31 days"),
    mark("frame: function or byte count do not fit"),
    mark("frame: it is not base64"),
    mark("frame: it is not hexadecimal"),
    mark("frame: its text is not ASCII"),
    mark("frame: registers are two bytes each"),
    mark("frame: the checksum is wrong"),
    mark("frame: there are no bytes"),
    mark("frame: there is no text"),
    mark("frame: the device answered with exception {code}"),
)
