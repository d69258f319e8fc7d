"""What schemathesis has to know of the bundled processes and of this host."""

from email import message_from_bytes

import schemathesis

# A process that waits gets this many seconds to wait for: the tests have an end.
SHORT = 0.01
WAITS = ("pause", "seconds")

# What processes cannot do without.
REQUIRED = {"echo": {"text": "a"}, "hello-world": {"name": "a"}, "sleep": {"seconds": SHORT}}


@schemathesis.hook
def before_call(context, case, kwargs):
    """Gives inputs to an execution that has none, and shortens its pauses."""
    if not isinstance(case.body, dict) or not isinstance(case.body.get("inputs", {}), dict):
        return
    inputs = case.body.get("inputs")
    process = case.operation.path.removesuffix("/execution").rpartition("/")[2]
    if not inputs:
        case.body["inputs"] = REQUIRED.get((case.path_parameters or {}).get("processID", process), {})
        return
    for name in WAITS:
        if isinstance(inputs.get(name), (int, float)) and inputs[name] > SHORT:
            inputs[name] = SHORT


@schemathesis.deserializer("multipart/related")
def multipart(context, response):
    """The parts of a reply by the identifier of their output."""
    head = f"Content-Type: {response.headers['content-type'][0]}\r\n\r\n".encode()
    message = message_from_bytes(head + response.content)
    assert message.is_multipart() and not message.defects, message.defects
    return {part["Content-ID"].strip("<>"): part.get_payload(decode=True).decode("latin-1") for part in message.get_payload()}
