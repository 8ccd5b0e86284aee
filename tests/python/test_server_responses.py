"""OpenAI's Responses API, by OpenAI's own client."""

import json
import sqlite3

import jsonschema
import openai
import pydantic
import pytest
from server_support import Server
from test_server_structure import CHATML, PARAMETERS, with_template

TOOL = {"type": "function", "name": "weather", "description": "A forecast", "parameters": PARAMETERS, "strict": True}
CALM = {"temperature": 1.0, "max_output_tokens": 600}


class Answer(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    sunny: bool


@pytest.fixture(scope="module")
def server(medlar, tiny):
    with Server(medlar, tiny("llama"), "--parallel", "2", "--alias", "tiny", context=2048) as running:
        yield running


@pytest.fixture(scope="module")
def client(server):
    return openai.OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0)


def test_a_text(client):
    response = client.responses.create(model="tiny", input="Hello", instructions="Be brief", max_output_tokens=5,
                                       metadata={"a": "b"}, extra_body={"ignore_eos": True, "seed": 1})
    assert response.status in ("incomplete", "completed") and response.output_text
    assert response.usage.output_tokens == 5 and response.instructions == "Be brief"
    if response.status == "incomplete":
        assert response.incomplete_details.reason == "max_output_tokens"
    again = client.responses.retrieve(response.id)
    assert again.output_text == response.output_text and again.metadata == {"a": "b"}
    assert client.responses.input_items.list(response.id).data[0].content == "Hello"


def test_a_stream_of_events(client):
    arguments = {"model": "tiny", "input": "Hello", "max_output_tokens": 8, "extra_body": {"seed": 3}}
    whole = client.responses.create(**arguments)
    events = list(client.responses.create(stream=True, **arguments))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[0].type == "response.created" and events[-1].type in ("response.completed", "response.incomplete")
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == whole.output_text == events[-1].response.output_text
    ended = arguments | {"extra_body": {"regex": "[a-z]{8}"}}
    with client.responses.stream(**ended) as stream:
        text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        assert len(text) == 8 and stream.get_final_response().output_text == text


def test_a_form(client):
    response = client.responses.parse(model="tiny", input="Hello", text_format=Answer, **CALM)
    assert isinstance(response.output_parsed, Answer)
    schema = {"type": "json_schema", "name": "x", "schema": {"type": "array", "uniqueItems": True}}
    with pytest.raises(openai.BadRequestError, match="uniqueItems") as error:
        client.responses.create(model="tiny", input="Hello", text={"format": schema})
    assert error.value.body["param"] == "text.format.schema"


@pytest.mark.parametrize("stream", [False, True])
def test_a_loop_with_a_tool(client, stream):
    choice = {"type": "function", "name": "weather"}
    arguments = {"model": "tiny", "input": "Hello", "tools": [TOOL], "tool_choice": choice, "extra_body": {"seed": 1}}
    if stream:
        with client.responses.stream(**arguments, **CALM) as events:
            deltas = "".join(e.delta for e in events if e.type == "response.function_call_arguments.delta")
            first = events.get_final_response()
        assert deltas == first.output[-1].arguments
    else:
        first = client.responses.create(**arguments, **CALM)
    (call,) = [item for item in first.output if item.type == "function_call"]
    jsonschema.validate(json.loads(call.arguments), PARAMETERS)
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "sun"}
    second = client.responses.create(model="tiny", previous_response_id=first.id, input=[result], tools=[TOOL],
                                     max_output_tokens=2)
    known = first.usage.input_tokens + first.usage.output_tokens - 1
    assert second.usage.input_tokens_details.cached_tokens >= known
    assert second.previous_response_id == first.id
    # The same by hand.
    items = [{"role": "user", "content": "Hello"}, *(item.model_dump(exclude_none=True) for item in first.output), result]
    by_hand = client.responses.create(model="tiny", input=items, tools=[TOOL], max_output_tokens=2)
    assert by_hand.usage.input_tokens == second.usage.input_tokens


def test_what_is_not_kept_cannot_be_gone_on_from(client):
    response = client.responses.create(model="tiny", input="Hello", store=False, max_output_tokens=2)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(response.id)
    with pytest.raises(openai.NotFoundError) as error:
        client.responses.create(model="tiny", input="x", previous_response_id=response.id)
    assert error.value.body["param"] == "previous_response_id"


def test_deleted(client):
    response = client.responses.create(model="tiny", input="Hello", max_output_tokens=2)
    client.responses.delete(response.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.delete(response.id)


@pytest.mark.parametrize("arguments, param", [
    ({"input": []}, "input"),
    ({"input": 5}, "input"),
    ({"input": [{"type": "computer_call"}]}, "input[0].type"),
    ({"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]}, "input[0].content[0].type"),
    ({"input": [{"type": "function_call", "call_id": "x"}]}, "input[0].name"),
    ({"background": True}, "background"),
    ({"extra_body": {"conversation": "c"}}, "conversation"),
    ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
    ({"truncation": "middle"}, "truncation"),
    ({"max_output_tokens": 0}, "max_output_tokens"),
])
def test_errors_name_the_field(client, arguments, param):
    with pytest.raises(openai.BadRequestError) as error:
        client.responses.create(**({"model": "tiny", "input": "Hello"} | arguments))
    assert error.value.body["param"] == param


def test_reasoning(medlar, tiny, tmp_path):
    path = with_template(tiny("llama"), tmp_path / "thinking.gguf", CHATML + "<think>\n{% endif %}")
    with Server(medlar, path, "--alias", "tiny", context=1024) as server:
        client = openai.OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0)
        arguments = {"model": "tiny", "input": "Hello", "max_output_tokens": 40,
                     "extra_body": {"seed": 1, "reasoning_budget": 4, "ignore_eos": True}}
        whole = client.responses.create(**arguments)
        assert [item.type for item in whole.output] == ["reasoning", "message"]
        assert whole.usage.output_tokens_details.reasoning_tokens >= 4
        final = list(client.responses.create(stream=True, **arguments))[-1].response
        assert [item.type for item in final.output] == ["reasoning", "message"]
        assert final.output_text == whole.output_text
        assert final.output[0].content[0].text == whole.output[0].content[0].text
        off = client.responses.create(model="tiny", input="Hello", max_output_tokens=20, reasoning={"effort": "none"})
        assert [item.type for item in off.output] == ["message"]


def test_keys_see_their_own_and_responses_outlive_the_server(medlar, tiny, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("one\ntwo\n")
    arguments = ("--api-key-file", keys, "--alias", "tiny")
    with Server(medlar, tiny("llama"), *map(str, arguments)) as server:
        one = openai.OpenAI(base_url=server.url + "/v1", api_key="one", max_retries=0)
        response = one.responses.create(model="tiny", input="Hello", max_output_tokens=2)
        server.process.kill()  # what was answered is on the disk
        server.process.wait()
    with Server(medlar, tiny("llama"), *map(str, arguments)) as server:
        one, two = (openai.OpenAI(base_url=server.url + "/v1", api_key=key, max_retries=0) for key in ("one", "two"))
        assert one.responses.retrieve(response.id).output_text == response.output_text
        with pytest.raises(openai.NotFoundError):
            two.responses.retrieve(response.id)
        with pytest.raises(openai.NotFoundError):
            two.responses.create(model="tiny", input="x", previous_response_id=response.id)


def test_a_database_that_cannot_be_written_is_told(medlar, tiny):
    path = medlar.home / "responses.db"
    with Server(medlar, tiny("llama"), "--alias", "tiny") as server:
        client = openai.OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0)
        client.responses.create(model="tiny", input="Hello", max_output_tokens=1)
        blocker = sqlite3.connect(path, isolation_level=None)
        blocker.execute("DROP TABLE response")
        try:
            response = client.responses.create(model="tiny", input="Hello", max_output_tokens=1)
            assert response.store is False and "response" in response.medlar["not_stored"]
        finally:
            blocker.close()
            for file in medlar.home.glob("responses.db*"):
                file.unlink()
