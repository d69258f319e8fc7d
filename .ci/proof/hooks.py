"""What schemathesis has to know of the bundled processes and of this host."""

from email import message_from_bytes

import schemathesis

# A process that waits gets this many seconds to wait for: the tests have an end.
SHORT = 0.01
WAITS = ("pause", "seconds")

# Nobody shall be asked: nothing is fetched from this address, nor sent to it.
NOWHERE = "http://127.0.0.1:9/"
ADDRESSES = ("href", "successUri", "inProgressUri", "failedUri")

# What processes cannot do without.
REQUIRED = {"echo": {"text": "a"}, "hello-world": {"name": "a"}, "sleep": {"seconds": SHORT}}


@schemathesis.hook
def before_call(context, case, kwargs):
    """Makes an execution harmless: it is short, asks nobody and does not fail on demand."""
    if not isinstance(case.body, dict):
        return
    lead_nowhere(case.body)
    inputs = case.body.get("inputs")
    if not inputs and "{processID}" in case.operation.path:  # its schema does not know what is required
        case.body["inputs"] = REQUIRED.get(case.path_parameters["processID"], {})
    if not isinstance(inputs, dict):
        return
    for name in WAITS:
        if name in inputs:
            inputs[name] = shortened(inputs[name])
    if isinstance(inputs.get("fail"), (str, dict)):
        del inputs["fail"]


def lead_nowhere(value):
    """Replaces the addresses, at any depth, that the server would go to."""
    if isinstance(value, dict):
        for name in ADDRESSES:
            if isinstance(value.get(name), str) and value[name].startswith(("http:", "https:")):
                value[name] = NOWHERE
        value = list(value.values())
    for member in value if isinstance(value, list) else ():
        lead_nowhere(member)


def shortened(value):
    """A wait, bare or with its format, that is no longer than SHORT."""
    if isinstance(value, dict) and "value" in value:
        return value | {"value": shortened(value["value"])}
    return SHORT if isinstance(value, (int, float)) and value > SHORT else value


@schemathesis.deserializer("text/html")
def html(context, response):
    """A page is the string that the document says it is."""
    return response.text


@schemathesis.deserializer("multipart/related")
def multipart(context, response):
    """The parts of a reply by the identifier of their output."""
    head = f"Content-Type: {response.headers['content-type'][0]}\r\n\r\n".encode()
    message = message_from_bytes(head + response.content)
    assert message.is_multipart() and not message.defects, message.defects
    return {part["Content-ID"].strip("<>"): part.get_payload(decode=True).decode("latin-1") for part in message.get_payload()}
