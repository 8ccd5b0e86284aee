"""The truncation contract: what does not fit is refused, or left out on request and told where it happens."""

import json

import anthropic
import ollama
import openai
import pytest
from server_support import Server

MODEL = "tiny-llama"
TURNS = [message for i in range(6) for message in (
    {"role": "user", "content": f"question {i} " + "x" * 40},
    {"role": "assistant", "content": f"answer {i} " + "y" * 40},
)]
LAST = {"role": "user", "content": "and now?"}
FIXED = {"temperature": 0, "ignore_eos": True, "max_tokens": 10}
SUMMARIZE = FIXED | {"overflow": "summarize"}


@pytest.fixture(scope="module")
def server(medlar, tiny):
    with Server(medlar, tiny("llama"), "--parallel", "4") as running:
        yield running


def tokens(server, messages):
    prompt = server.json("/apply-template", {"messages": messages})["prompt"]
    return server.json("/tokenize", {"content": prompt})["tokens"]


def events(stream):
    lines = stream.decode().split("\n\n")
    return [json.loads(line.split("data: ", 1)[1]) for line in lines if "data: {" in line]


@pytest.mark.parametrize("system", [[], [{"role": "system", "content": "Be brief."}]])
def test_the_oldest_turns_are_condensed(server, system):
    messages = [*system, *TURNS, LAST]
    status, headers, answer = server.request("/v1/chat/completions", {"messages": messages, **SUMMARIZE})
    answer = json.loads(answer)
    assert status == 200, answer
    told = answer["medlar"]["summarized"]
    begin, end = told["begin"], told["end"]
    assert begin == len(system) and messages[end]["role"] == "user" and end < len(messages)
    # As few turns as it takes.
    shorter = [*system, *messages[end - 2:]]
    assert len(tokens(server, shorter)) + 512 // 8 + 10 > 512 - 64
    # What the model read is the rest with the summary before it.
    rest = [*system, *messages[end:]]
    content = f"[Summary of the conversation so far: {told['summary']}]\n\n{rest[begin]['content']}"
    rest[begin] = rest[begin] | {"content": content}
    same = server.json("/v1/chat/completions", {"messages": rest, **FIXED})
    assert same["choices"][0]["message"] == answer["choices"][0]["message"]
    assert same["usage"]["prompt_tokens"] == answer["usage"]["prompt_tokens"]
    empty = rest[:begin] + [messages[end] | {"content": "[Summary of the conversation so far: ]\n\n"
                                             + messages[end]["content"]}] + rest[begin + 1:]
    assert told["tokens"] == len(tokens(server, messages)) - len(tokens(server, empty))
    assert int(headers["x-medlar-dropped-tokens"]) == told["tokens"]


def test_what_fits_is_left_alone(server):
    messages = [*TURNS[:2], LAST]
    answer = server.json("/v1/chat/completions", {"messages": messages, **SUMMARIZE})
    assert "summarized" not in answer["medlar"]
    assert answer["choices"] == server.json("/v1/chat/completions", {"messages": messages, **FIXED})["choices"]


def test_long_histories_are_read_in_pieces(server):
    messages = [*TURNS * 5, LAST]
    answer = server.json("/v1/chat/completions", {"messages": messages, **SUMMARIZE})
    assert answer["medlar"]["summarized"]["tokens"] > 2000 and answer["usage"]["prompt_tokens"] < 512


def test_streams_tell_it_first(server):
    body = {"messages": [*TURNS, LAST], **SUMMARIZE, "stream": True}
    whole = server.json("/v1/chat/completions", body | {"stream": False})
    _, headers, stream = server.request("/v1/chat/completions", body)
    told = [event for event in events(stream) if "medlar" in event]
    assert told[0]["medlar"] == {"summarized": whole["medlar"]["summarized"]} and len(told) == 2
    assert told[-1]["medlar"]["summarized"] == whole["medlar"]["summarized"]
    assert int(headers["x-medlar-dropped-tokens"]) == whole["medlar"]["summarized"]["tokens"]


def test_official_clients_take_it(server):
    messages = [*TURNS, LAST]
    client = openai.OpenAI(base_url=server.url + "/v1", api_key="none")
    extra = {"overflow": "summarize", "ignore_eos": True}
    stream = client.chat.completions.create(
        model=MODEL, messages=messages, max_tokens=10, temperature=0, stream=True, extra_body=extra
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
    whole = client.chat.completions.create(
        model=MODEL, messages=messages, max_tokens=10, temperature=0, extra_body=extra
    )
    assert text == whole.choices[0].message.content and whole.medlar["summarized"]["begin"] == 0
    claude = anthropic.Anthropic(base_url=server.url, api_key="none")
    arguments = {"model": MODEL, "messages": messages, "max_tokens": 10, "system": "Be brief."}
    extra["temperature"] = 0
    message = claude.messages.create(**arguments, extra_body=extra)
    assert message.medlar["summarized"]["tokens"] > 0
    with claude.messages.stream(**arguments, extra_body=extra) as stream:
        assert stream.get_final_text() == message.content[0].text
    options = {"overflow": "summarize", "temperature": 0, "ignore_eos": True, "num_predict": 10}
    lines = list(ollama.Client(host=server.url).chat(MODEL, messages, stream=True, options=options))
    answer = ollama.Client(host=server.url).chat(MODEL, messages, options=options)
    assert "".join(line.message.content for line in lines) == answer.message.content


def test_responses_are_condensed_too(server):
    """The messages of all items, those of earlier responses included, with the instructions first."""
    client = openai.OpenAI(base_url=server.url + "/v1", api_key="none")
    extra = {"overflow": "summarize", "ignore_eos": True}
    first = client.responses.create(model=MODEL, input=[*TURNS[:-1]], max_output_tokens=4, temperature=0,
                                    extra_body=extra)  # fmt: skip
    arguments = {"model": MODEL, "input": [TURNS[0], TURNS[1], LAST], "instructions": "Be brief.", "max_output_tokens": 10,
                 "temperature": 0, "previous_response_id": first.id, "extra_body": extra}  # fmt: skip
    whole = client.responses.create(**arguments)
    told = whole.medlar["summarized"]
    assert told["begin"] == 1 < told["end"] and told["tokens"] > 0 and told["summary"]
    assert whole.truncation == "auto" and whole.usage.input_tokens < 512
    with client.responses.stream(**arguments) as stream:
        events = list(stream)
    notices = [event.medlar for event in events if getattr(event, "medlar", None)]
    assert notices[0] == {"summarized": told}
    assert events[-1].response.output_text == whole.output_text
    assert events[-1].response.medlar["summarized"] == told


@pytest.mark.parametrize("body, expected", [
    ({"messages": [{"role": "user", "content": "x" * 600}]}, "newest turn"),
    ({"messages": [*TURNS, {"role": "user", "content": "x" * 600}]}, "newest turn"),
    ({"messages": [{"role": "user", "content": "x" * 600}, TURNS[1], LAST]}, "messages[0] alone"),
])
def test_what_cannot_be_condensed_is_an_error_with_the_numbers(server, body, expected):
    error = server.json("/v1/chat/completions", body | SUMMARIZE, status=400)["error"]
    assert error["code"] == "context_length_exceeded" and error["n_ctx"] == 512
    assert error["n_prompt_tokens"] > 512 and expected in error["message"]


def test_a_text_is_no_conversation(server):
    error = server.json("/v1/completions", {"prompt": "a", **SUMMARIZE}, status=400)["error"]
    assert error["param"] == "overflow"


@pytest.mark.parametrize("path, body", [
    ("/v1/chat/completions", {"messages": [LAST]}),
    ("/v1/completions", {"prompt": "a"}),
    ("/completion", {"prompt": "a"}),
    ("/v1/messages", {"messages": [LAST], "model": MODEL}),
])
def test_a_shift_is_told_when_it_happens(server, path, body):
    body |= {"overflow": "shift", "num_keep": 4, "ignore_eos": True, "max_tokens": 800, "stream": True}
    told = events(server.request(path, body)[2])
    places = [i for i, event in enumerate(told) if event.get("medlar", {}).get("dropped")]
    first, last = places[0], places[-1]
    assert first < last - 20  # between the text before and the text behind, not only at the end
    reported = [part for i in places[:-1] for part in told[i]["medlar"]["dropped"]]
    assert reported == told[last]["medlar"]["dropped"] and reported[0]["begin"] == 4


def test_a_shift_is_told_by_ollama(server):
    options = {"overflow": "shift", "num_keep": 4, "ignore_eos": True, "num_predict": 800}
    body = {"model": MODEL, "messages": [LAST], "options": options}
    lines = [json.loads(line) for line in server.request("/api/chat", body)[2].splitlines()]
    places = [i for i, line in enumerate(lines) if line.get("medlar", {}).get("dropped")]
    assert places and places[0] < len(lines) - 20
