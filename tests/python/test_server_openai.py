"""OpenAI's API, asked by the official client."""

import json
import time

import openai
import pytest
from server_support import Server

MODEL = "tiny-llama"
HELLO = [{"role": "user", "content": "Hello"}]
# A random model ends when it likes to; these let it neither end early nor differ from run to run.
FIXED = {"temperature": 0, "extra_body": {"ignore_eos": True}}


@pytest.fixture(scope="module")
def server(medlar, tiny):
    with Server(medlar, tiny("llama"), "--parallel", "4") as running:
        yield running


@pytest.fixture(scope="module")
def client(server):
    return openai.OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0)


def test_models(client):
    names = [model.id for model in client.models.list()]
    assert MODEL in names
    assert client.models.retrieve(MODEL).id == MODEL
    with pytest.raises(openai.NotFoundError, match=MODEL):
        client.models.retrieve("gpt-4")


def test_chat(client):
    answer = client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=8, **FIXED)
    choice = answer.choices[0]
    assert choice.finish_reason == "length" and choice.message.role == "assistant" and choice.message.content
    assert answer.usage.completion_tokens == 8
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 8
    assert answer.timings["predicted_n"] == 8
    again = client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=8, **FIXED)
    assert again.choices[0].message.content == choice.message.content
    assert again.usage.prompt_tokens_details.cached_tokens == answer.usage.prompt_tokens - 1


def test_the_stream_says_what_the_whole_answer_says(client):
    arguments = {"model": MODEL, "messages": HELLO, "max_tokens": 24, "seed": 3, "n": 2}
    arguments |= {"extra_body": {"ignore_eos": True}}
    whole = client.chat.completions.create(**arguments)
    texts, reasons, usage = ["", ""], [None, None], None
    for chunk in client.chat.completions.create(**arguments, stream=True, stream_options={"include_usage": True}):
        usage = chunk.usage or usage
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
            reasons[choice.index] = choice.finish_reason or reasons[choice.index]
    assert texts == [choice.message.content for choice in whole.choices]
    assert texts[0] != texts[1]
    assert reasons == ["length", "length"]
    assert usage.completion_tokens == 48 and usage.prompt_tokens == whole.usage.prompt_tokens


def test_a_stop_string_ends_the_answer(client):
    whole = client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=40, **FIXED)
    text = whole.choices[0].message.content
    stop = next(text[i : i + 2] for i in range(5, len(text)) if text[i : i + 2].isascii())
    answer = client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=40, stop=[stop, "§"], **FIXED)
    assert answer.choices[0].message.content == text.split(stop)[0]
    assert answer.choices[0].finish_reason == "stop"


def test_logprobs(client):
    answer = client.chat.completions.create(
        model=MODEL, messages=HELLO, max_tokens=5, logprobs=True, top_logprobs=3, **FIXED
    )
    tokens = answer.choices[0].logprobs.content
    assert len(tokens) == 5
    for token in tokens:
        assert len(token.top_logprobs) == 3
        # Without temperature the most likely token is taken.
        assert token.token == token.top_logprobs[0].token and token.logprob == token.top_logprobs[0].logprob
        assert 0 >= token.top_logprobs[0].logprob >= token.top_logprobs[1].logprob >= token.top_logprobs[2].logprob


def test_logit_bias_bans_and_forces(client):
    answer = client.completions.create(model=MODEL, prompt="a", max_tokens=3, logit_bias={"65": 1000}, **FIXED)
    forced = client.completions.create(model=MODEL, prompt=[65], max_tokens=3, echo=True, **FIXED)
    assert answer.choices[0].text == forced.choices[0].text[0] * 3


def test_completions_of_several_prompts(client):
    prompts = ["one", "two", "three"]
    alone = [client.completions.create(model=MODEL, prompt=p, max_tokens=6, **FIXED).choices[0].text for p in prompts]
    together = client.completions.create(model=MODEL, prompt=prompts, max_tokens=6, n=2, **FIXED)
    assert [choice.text for choice in together.choices] == [text for text in alone for _ in range(2)]
    assert [choice.index for choice in together.choices] == list(range(6))
    assert together.usage.completion_tokens == 36


def test_completions_echo_tokens_and_stream(client, server):
    tokens = server.json("/tokenize", {"content": "one two"})["tokens"]
    whole = client.completions.create(model=MODEL, prompt=tokens, max_tokens=6, echo=True, logprobs=None, **FIXED)
    assert whole.choices[0].text.startswith("one two")
    stream = client.completions.create(model=MODEL, prompt="one two", max_tokens=6, echo=True, stream=True, **FIXED)
    assert "".join(c.choices[0].text for c in stream if c.choices) == whole.choices[0].text
    with_logprobs = client.completions.create(model=MODEL, prompt="one two", max_tokens=4, logprobs=2, **FIXED)
    assert len(with_logprobs.choices[0].logprobs.tokens) == 4
    # Two tokens that are no whole characters look alike.
    assert all(1 <= len(best) <= 2 for best in with_logprobs.choices[0].logprobs.top_logprobs)


@pytest.mark.parametrize("arguments, param", [
    ({"temperature": -1}, "temperature"),
    ({"temperature": "hot"}, "temperature"),
    ({"n": 10**9}, "n"),
    ({"n": 0}, "n"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"max_tokens": 0.5}, "max_tokens"),
    ({"top_logprobs": 3}, "top_logprobs"),
    ({"stream_options": {"include_usage": 5}}, "stream_options.include_usage"),
    ({"messages": []}, "messages"),
    ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
     "messages[0].content[0].type"),
    ({"logit_bias": {"999999": 1}}, None),
    ({"extra_body": {"num_ctx": 10**6}}, "num_ctx"),
])
def test_errors_name_the_field(client, arguments, param):
    with pytest.raises(openai.BadRequestError) as error:
        client.chat.completions.create(**({"model": MODEL, "messages": HELLO} | arguments))
    assert error.value.body["param"] == param
    assert error.value.body["type"] == "invalid_request_error" and error.value.body["message"]


def test_what_asks_for_nothing_is_no_demand(client):
    client.chat.completions.create(
        model=MODEL, messages=HELLO, max_tokens=1, tools=[], response_format={"type": "text"}, temperature=None
    )


def test_another_model_is_not_found(client):
    with pytest.raises(openai.NotFoundError) as error:
        client.chat.completions.create(model="gpt-4", messages=HELLO)
    assert error.value.body["code"] == "model_not_found" and MODEL in error.value.body["message"]


def test_a_prompt_that_does_not_fit_is_told_with_numbers(client):
    with pytest.raises(openai.BadRequestError) as error:
        client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "x" * 2000}])
    body = error.value.body
    assert body["code"] == "context_length_exceeded"
    assert body["n_prompt_tokens"] > 2000 and body["n_ctx"] == 512 and body["largest_context"] == 512
    assert str(body["n_prompt_tokens"]) in body["message"] and "512" in body["message"]


def test_a_shift_is_told_in_body_header_and_stream(server):
    body = {"messages": [{"role": "user", "content": "x" * 2000}], "overflow": "shift", "num_keep": 20, "max_tokens": 4}
    body |= {"ignore_eos": True}
    status, headers, answer = server.request("/v1/chat/completions", body)
    answer = json.loads(answer)
    dropped = answer["medlar"]["dropped"]
    assert status == 200 and dropped[0]["begin"] == 20 and dropped[0]["prompt"] == 0
    count = sum(part["end"] - part["begin"] for part in dropped)
    assert int(headers["x-medlar-dropped-tokens"]) == count > 1500
    prompt = server.json("/tokenize", {"content": server.json("/apply-template", body)["prompt"]})["tokens"]
    in_prompt = dropped[0]["end"] - dropped[0]["begin"]
    assert answer["usage"]["prompt_tokens"] + in_prompt == len(prompt)
    status, headers, stream = server.request("/v1/chat/completions", body | {"stream": True})
    assert int(headers["x-medlar-dropped-tokens"]) == in_prompt
    assert b'"dropped":[{"begin":20,' in stream


def test_the_end_of_the_context_ends_the_answer(client):
    answer = client.chat.completions.create(model=MODEL, messages=HELLO, **FIXED)
    assert answer.choices[0].finish_reason == "length" and answer.usage.total_tokens in (512, 513)  # nothing reads the last one
    smaller = client.chat.completions.create(
        model=MODEL, messages=HELLO, temperature=0, extra_body={"ignore_eos": True, "num_ctx": 100}
    )
    assert smaller.usage.total_tokens == 100


def test_a_cache_miss_is_explained(client):
    def ask(text):
        messages = [{"role": "system", "content": text + " and what follows"}, *HELLO]
        return client.chat.completions.create(model=MODEL, messages=messages, max_tokens=1)

    ask("It is ten o'clock" + " today" * 20)
    cache = ask("It is six o'clock" + " today" * 20).medlar["cache"]
    assert "ten" in cache["miss"]["cached"] and "six" in cache["miss"]["given"]
    assert 0 < cache["miss"]["position"] < cache["prompt_tokens"]


def test_a_client_that_leaves_frees_its_place(server, client):
    for _ in range(8):
        stream = client.completions.create(model=MODEL, prompt="a", stream=True, **FIXED)
        next(iter(stream))
        stream.close()
    deadline = time.monotonic() + 30
    while any(slot["is_processing"] for slot in server.json("/slots")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert client.completions.create(model=MODEL, prompt="a", max_tokens=2, **FIXED).choices[0].text


def test_neighbours_do_not_change_an_answer(client):
    def ask(seed):
        return client.completions.create(
            model=MODEL, prompt="one two", max_tokens=40, seed=seed, extra_body={"ignore_eos": True}
        ).choices[0].text

    alone = [ask(seed) for seed in range(3)]
    neighbours = [client.completions.create(model=MODEL, prompt="b" * i, stream=True, **FIXED) for i in (3, 30)]
    assert [ask(seed) for seed in range(3)] == alone
    for stream in neighbours:
        stream.close()


def test_what_is_streamed_is_valid_json_and_utf8(server):
    body = {"messages": HELLO, "stream": True, "temperature": 5, "top_p": 1, "min_p": 0, "top_k": 0, "max_tokens": 200}
    status, headers, answer = server.request("/v1/chat/completions", body | {"ignore_eos": True})
    assert status == 200 and headers["content-type"] == "text/event-stream"
    events = [line for line in answer.decode().split("\n\n") if line.startswith("data: ")]
    assert events[-1] == "data: [DONE]"
    assert all(json.loads(event[6:]) for event in events[:-1])
