"""What the tests with other people's clients share."""

MODEL = "tiny-llama"
HELLO = [{"role": "user", "content": "Hello"}]
# A random model ends when it likes to; with these it neither ends early nor differs from run to run.
GREEDY = {"temperature": 0, "extra_body": {"ignore_eos": True}}

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


def is_forecast(arguments):
    return set(arguments) == {"city", "days"} and arguments["city"] in ("Paris", "Rome") and 1 <= arguments["days"] <= 5
