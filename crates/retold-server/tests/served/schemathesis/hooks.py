"""What the document of the service does not say: how lines and machines are written, and what
every answer has in common."""

import json
import zlib

import schemathesis
from hypothesis import strategies as st

# How long a request may wait for a position that will not come; the service allows 30 s.
WAIT_MS_MAX = 50

NAMES = st.sampled_from(["Issue", "Note", "Door", "1", "$machine", ""]) | st.text(max_size=8)
TEXTS = st.sampled_from(["42", "a/b", "t", "start_work", "TODO", "\u0000"]) | st.text(max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=8,
)
EXPECTED = st.sampled_from(["any", "no_stream", "stream_exists", 0, 1, 7, -1, None, "some"])
METADATA = st.fixed_dictionaries(
    {},
    optional={
        "eventId": st.uuids().map(str) | st.text(max_size=5),
        "timestamp": st.datetimes().map(lambda at: at.isoformat() + "Z") | st.text(max_size=5),
        "correlationId": TEXTS,
        "actor": TEXTS,
        "x": VALUES,
    },
)
EVENTS = st.fixed_dictionaries(
    {"aggregateType": NAMES, "aggregateId": TEXTS, "eventType": TEXTS, "payload": VALUES},
    optional={
        "expected": EXPECTED,
        "tags": st.lists(TEXTS, max_size=3),
        "metadata": METADATA,
        "sequenceNumber": st.integers(),
        "position": st.integers(),
        "persistedAt": TEXTS,
    },
)
LINES = st.lists(
    EVENTS.map(lambda event: json.dumps(event).encode())
    | VALUES.map(lambda value: json.dumps(value).encode())
    | st.binary(max_size=20),
    max_size=6,
).map(b"\n".join)

MACHINE = (
    'type = "{kind}"\ninitial = "{initial}"\nstates = ["A", "B"]\nfinal = ["B"]\n'
    'snapshot_every = {every}\n[[transition]]\nname = "{name}"\nfrom = ["{source}"]\nto = "B"\n'
)
WORDS = st.sampled_from(["A", "B", "C", "go", "Issue", "Door"]) | st.text("abc$\"\n ", max_size=4)
MACHINES = (
    st.builds(
        MACHINE.format,
        kind=WORDS,
        initial=WORDS,
        every=st.integers(-1, 100),
        name=WORDS,
        source=WORDS,
    ).map(str.encode)
    | st.text(max_size=30).map(str.encode)
    | st.binary(max_size=20)
)

schemathesis.openapi.media_type("application/x-ndjson", LINES)
schemathesis.openapi.media_type("application/toml", MACHINES)


@schemathesis.deserializer("application/x-ndjson", "application/toml", "text/event-stream")
def as_text(context, response):
    return response.content.decode()


@schemathesis.hook
def before_call(context, case, kwargs):
    """Asks for each form in turn, and never waits for long."""
    query = case.query or {}
    chosen = zlib.crc32(repr(sorted(query.items(), key=str)).encode()) % 3
    forms = ["application/json", "application/x-ndjson", "*/*"]
    if case.method.upper() == "GET" and case.path.endswith("/events"):
        case.headers = {**(case.headers or {}), "Accept": forms[chosen]}
    body = case.body if isinstance(case.body, dict) else {}
    if isinstance(body.get("waitMs"), int) and WAIT_MS_MAX < body["waitMs"] <= 30_000:
        case.body["waitMs"] = WAIT_MS_MAX
    wait = str(query.get("waitMs", ""))
    if wait.isdigit() and WAIT_MS_MAX < int(wait) <= 30_000:
        case.query["waitMs"] = WAIT_MS_MAX


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """A position that the log has not reached yet is the one passing failure that is expected:
    whoever asks for it is told to come again."""
    if response is None or response.status_code != 503:
        return True
    return response.json().get("code") != "not_yet"


@schemathesis.check
def problems_are_whole(context, response, case):
    """Every refusal is a problem with a stable code, and tells no secret."""
    if response.status_code < 400:
        return
    assert response.headers["content-type"][0] == "application/problem+json", "not a problem"
    if case.method.upper() == "HEAD":
        return
    problem = response.json()
    assert problem["status"] == response.status_code, "another status in the problem"
    assert problem["detail"].startswith("failed to "), "no sentence"
    assert problem["code"] != "internal", "an internal error"
    field = problem.get("field")
    assert field is None or field in problem["detail"], "the field is not mentioned"


@schemathesis.check
def lines_are_whole(context, response, case):
    """Each line of an answer in lines is an event, a result, or a problem."""
    if response.headers.get("content-type", [""])[0] != "application/x-ndjson":
        return
    for line in response.content.decode().splitlines():
        value = json.loads(line)
        known = {"position", "isNew", "code"} & value.keys()
        assert known, f"neither an event nor a result nor a problem: {line}"
