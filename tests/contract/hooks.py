"""What Schemathesis cannot know from a description."""

import uuid

import schemathesis


@schemathesis.hook
def before_call(context, case, kwargs):
    """A key that fits is one of its own each time: a key that was used for another request is refused, as described."""
    key = case.headers.get("Idempotency-Key") if case.headers else None
    if isinstance(key, str) and 1 <= len(key) <= 255 and all("!" <= character <= "~" for character in key):
        case.headers["Idempotency-Key"] = str(uuid.uuid4())
