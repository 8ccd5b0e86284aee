"""LangChain's OpenAI classes, unmodified."""

import openai
import pydantic
import pytest
from client_support import MODEL, TOOL, is_forecast
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_openai import ChatOpenAI, OpenAI, OpenAIEmbeddings
from server_support import Server


@pytest.fixture(scope="module")
def address(medlar, tiny):
    with Server(medlar, tiny("llama"), "--parallel", "4", "--api-key", "secret", context=2048) as running:
        yield {"base_url": running.url + "/v1", "api_key": "secret", "model": MODEL, "max_retries": 0}


@pytest.fixture(scope="module")
def chat(address):
    return ChatOpenAI(**address, temperature=0, max_tokens=12, extra_body={"ignore_eos": True}, stream_usage=True)


def test_chat(chat):
    answer = chat.invoke([SystemMessage("Be brief"), HumanMessage("Hello"), AIMessage("Yes?"), HumanMessage("Go on")])
    assert answer.content and answer.response_metadata["finish_reason"] == "length"
    assert answer.response_metadata["model_name"] == MODEL
    assert answer.usage_metadata["output_tokens"] == 12 and answer.usage_metadata["input_tokens"] > 0


def test_the_stream_says_what_the_whole_answer_says(chat):
    chunks = list(chat.stream("Hello"))
    assert len(chunks) > 3
    total = chunks[0]
    for chunk in chunks[1:]:
        total += chunk
    assert total.content == chat.invoke("Hello").content
    assert total.response_metadata["finish_reason"] == "length"
    assert total.usage_metadata["output_tokens"] == 12


def test_a_batch_is_answered_as_each_alone(chat):
    questions = [f"Question {i}" for i in range(6)]
    assert [a.content for a in chat.batch(questions)] == [chat.invoke(q).content for q in questions]


def test_a_stop_string(chat):
    text = chat.invoke("Hello").content
    stop = next(character for character in text[2:] if character.isascii())
    answer = chat.invoke("Hello", stop=[stop])
    assert answer.content == text.split(stop)[0] and answer.response_metadata["finish_reason"] == "stop"


def test_logprobs(chat):
    answer = chat.bind(logprobs=True, top_logprobs=2).invoke("Hello")
    tokens = answer.response_metadata["logprobs"]["content"]
    assert len(tokens) == 12 and all(len(token["top_logprobs"]) == 2 for token in tokens)


def test_completion(address):
    complete = OpenAI(**address, temperature=0, max_tokens=8, extra_body={"ignore_eos": True})
    assert complete.invoke("one two") == "".join(complete.stream("one two"))


def test_errors(address, chat):
    with pytest.raises(openai.NotFoundError, match=MODEL):
        ChatOpenAI(**(address | {"model": "gpt-5"})).invoke("Hello")
    with pytest.raises(openai.AuthenticationError):
        ChatOpenAI(**(address | {"api_key": "wrong"})).invoke("Hello")
    with pytest.raises(openai.BadRequestError, match="2048"):
        chat.invoke("x" * 5000)


def test_tools(chat):
    answer = chat.bind_tools([TOOL], tool_choice="any", parallel_tool_calls=False).invoke("Hello", max_tokens=400)
    call = answer.tool_calls[0]
    assert call["name"] == "forecast" and is_forecast(call["args"]) and not answer.invalid_tool_calls
    conversation = [HumanMessage("Hello"), answer, ToolMessage("sunny", tool_call_id=call["id"])]
    assert chat.bind_tools([TOOL]).invoke(conversation).content is not None


def test_streamed_tools(chat):
    chunks = list(chat.bind_tools([TOOL], tool_choice="any", parallel_tool_calls=False).stream("Hello", max_tokens=400))
    total = chunks[0]
    for chunk in chunks[1:]:
        total += chunk
    assert total.tool_calls[0]["name"] == "forecast" and is_forecast(total.tool_calls[0]["args"])


class Forecast(pydantic.BaseModel):
    days: int = pydantic.Field(ge=1, le=5)
    rain: bool


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_structured_output(address, method):
    chat = ChatOpenAI(**address, temperature=0, max_tokens=400)
    answer = chat.with_structured_output(Forecast, method=method).invoke("Hello")
    assert isinstance(answer, Forecast) and 1 <= answer.days <= 5


def test_embeddings(address):
    embeddings = OpenAIEmbeddings(**address, check_embedding_ctx_length=False)
    vectors = embeddings.embed_documents(["one", "two", "one"])
    assert vectors[0] == pytest.approx(vectors[2], abs=1e-4)
    assert vectors[0] != pytest.approx(vectors[1], abs=1e-4)
