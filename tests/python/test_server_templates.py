"""A conversation with a tool call through the server, in the words of published chat templates."""

import json
import pathlib

import pytest
from gguf_support import derive
from server_support import Server
from test_server_structure import TOOLS

TEMPLATES = sorted((pathlib.Path(__file__).parents[3] / "shared" / "data" / "chat-templates").glob("*.jinja"))
# What Jinja2's sandbox, in which templates are meant to run, refuses as well; and templates that want more than
# messages and tools.
REFUSED = {
    "Kimi-K2-Thinking": "unsafe",
    "MiroThinker": "undefined",
    "llama-cpp-deepseek-r1": "no JSON form",
}
CALL = {"id": "123456789", "type": "function",
        "function": {"name": "weather", "arguments": json.dumps({"city": "Rome", "days": 2})}}
TALK = [
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "123456789", "content": "sunshine"},
]


@pytest.mark.parametrize("path", TEMPLATES or [None], ids=lambda path: path.stem if path else "none")
def test_a_tool_conversation(medlar, tiny, tmp_path, path):
    if path is None:
        pytest.skip("no chat templates in ../shared")
    model = derive(tiny("llama"), tmp_path / "model.gguf", {"tokenizer.chat_template": path.read_text()})
    with Server(medlar, model, context=8192) as server:
        status, _, answer = server.request("/apply-template", {"messages": TALK, "tools": TOOLS})
        if path.stem in REFUSED:
            assert status == 400 and REFUSED[path.stem] in answer.decode()
            return
        assert status == 200, answer
        prompt = json.loads(answer)["prompt"]
        assert "weather" in prompt and "sunshine" in prompt
        assert "Rome" in prompt and "'Rome'" not in prompt  # not as Python writes it
        request = {"messages": TALK, "tools": TOOLS[:1], "tool_choice": "required", "max_tokens": 400,
                   "parallel_tool_calls": False, "temperature": 0.7, "seed": 1, "reasoning_effort": "none"}
        choice = server.json("/v1/chat/completions", request)["choices"][0]
        if choice["finish_reason"] == "tool_calls":
            (call,) = choice["message"]["tool_calls"]
            arguments = json.loads(call["function"]["arguments"])
            assert call["function"]["name"] == "weather" and arguments["city"] in ("Paris", "Rome")
            assert arguments["days"] in (1, 2)
        else:  # white space at random until the end
            assert choice["finish_reason"] == "length"
