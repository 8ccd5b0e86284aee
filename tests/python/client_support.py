"""What the tests with other people's clients share."""

import contextlib

import openai
import pytest

MODEL = "tiny-llama"
HELLO = [{"role": "user", "content": "Hello"}]
# A random model ends when it likes to; with these it neither ends early nor differs from run to run.
GREEDY = {"temperature": 0, "extra_body": {"ignore_eos": True}}
# What the server says to what it knows and does not serve.
REFUSALS = ("plain text only so far", "not served yet", "there is nothing here")

# Every call that it allows is short, so that a random model comes to its end.
TOOL = {
    "type": "function",
    "function": {
        "name": "forecast",
        "description": "The weather",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "enum": ["Paris", "Rome"]},
                "days": {"type": "integer", "minimum": 1, "maximum": 5},
            },
            "required": ["city", "days"],
            "additionalProperties": False,
        },
    },
}
SCHEMA = TOOL["function"]["parameters"]


@contextlib.contextmanager
def served():
    """Skips where the server says that it does not serve this yet."""
    try:
        yield
    except openai.APIStatusError as error:
        skip_if_refused(error)
        raise


def skip_if_refused(error):
    for refusal in REFUSALS:
        if refusal in str(error):
            pytest.skip(f"the server refuses: {refusal}")


def is_forecast(arguments):
    return set(arguments) == {"city", "days"} and arguments["city"] in ("Paris", "Rome") and 1 <= arguments["days"] <= 5
