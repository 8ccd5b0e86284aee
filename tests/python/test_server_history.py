"""The page's history: kept, searched, deleted; nothing acknowledged is lost, whatever ends the server."""

import http.client
import json
import pathlib
import random
import signal
import threading

import pytest
from server_support import Server


def conversation(name, text="Hello", updated=1000, **fields):
    tree = {"active": "m1", "messages": {"m1": {"id": "m1", "parent": None, "role": "user", "content": text}}}
    return {"id": name, "title": f"About {name}", "created": 1, "updated": updated, "tree": tree} | fields


def put(server, body, status=200, **headers):
    return server.json(f"/medlar/history/{body['id']}", body, status, method="PUT", headers=headers)


@pytest.fixture
def home(tmp_path):
    return {"MEDLAR_HOME": str(tmp_path / "home")}


@pytest.fixture
def server(medlar, home):
    with Server(medlar, None, env=home) as running:
        yield running


def test_conversations_are_kept(server, home):
    assert server.json("/medlar/history") == {"object": "list", "data": []}
    first = conversation("a", sampling={"temperature": 0.7}, note={"anything": [1, None, "ü"]})
    assert put(server, first) == {"id": "a", "revision": 1}
    put(server, conversation("b", updated=2000))
    assert server.json("/medlar/history/a") == first | {"revision": 1}
    assert server.json("/medlar/history")["data"] == [
        {"id": "b", "title": "About b", "created": 1, "updated": 2000, "revision": 1},
        {"id": "a", "title": "About a", "created": 1, "updated": 1000, "revision": 1},
    ]
    path = pathlib.Path(home["MEDLAR_HOME"]) / "history.db"
    assert {file.stat().st_mode & 0o777 for file in path.parent.glob("history.db*")} == {0o600}


def test_a_write_may_expect_a_revision(server):
    assert put(server, conversation("a"), **{"if-match": '"0"'})["revision"] == 1
    error = put(server, conversation("a", "other"), 412, **{"if-match": '"0"'})["error"]
    assert error["revision"] == 1
    assert put(server, conversation("a", "other"), **{"if-match": '"1"'})["revision"] == 2
    for odd in ("1", '"', '""', '"x"', '"99999999999999999999"', '"1'):
        assert put(server, conversation("a"), 400, **{"if-match": odd})["error"]["param"] == "if-match"


def test_search_and_delete(server):
    put(server, conversation("a", "Quinces are hard"))
    put(server, conversation("b", "Pears are soft"))
    found = server.json("/medlar/history?search=QUINCES%20are")["data"]
    assert [head["id"] for head in found] == ["a"] and "Quinces are hard" in found[0]["snippet"]
    assert len(server.json("/medlar/history?search=are")["data"]) == 2
    for odd in ("%22%27%3B+DROP", "%00%00%00", "a%00b%22", "%ff%fe%fd", "*%29", "x" * 10000):
        assert server.json(f"/medlar/history?search={odd}")["data"] == []
    assert server.json("/medlar/history/a", method="DELETE") == {"id": "a", "deleted": True}
    for method in ("GET", "DELETE"):
        error = server.json("/medlar/history/a", status=404, method=method)["error"]
        assert error["code"] == "conversation_not_found"
    assert server.json("/medlar/history?search=quinces")["data"] == []


@pytest.mark.parametrize("path, body, expected", [
    ("a", b"[]", "object"), ("a", {"id": "a"}, "title"), ("a", conversation("b"), "id"), ("a", conversation("a", updated=-1), "updated"),
    ("a%2Fb", conversation("a/b"), "id"), ("x" * 65, conversation("x" * 65), "id"), ("a", conversation("a", title=5), "title"),
    ("a", b"{", "JSON"),
])
def test_what_is_no_conversation_is_refused(server, path, body, expected):
    error = server.json(f"/medlar/history/{path}", body, 400, method="PUT")["error"]
    assert expected in error["message"]


def test_keys_see_their_own(medlar, home):
    with Server(medlar, None, "--api-key", "one", "--api-key", "two", env=home) as server:
        put(server, conversation("a", "secret"), **{"x-api-key": "one"})
        two = {"x-api-key": "two"}
        assert server.json("/medlar/history", headers=two)["data"] == []
        assert server.json("/medlar/history?search=secret", headers=two)["data"] == []
        server.json("/medlar/history/a", status=404, headers=two)
        server.json("/medlar/history/a", status=404, headers=two, method="DELETE")
        server.json("/medlar/history/a", headers={"x-api-key": "one"})
        server.json("/medlar/history", status=401)


def test_every_question_is_answered(server):
    """Answers come from another thread than the one that asked: none of them may get lost between the two."""
    put(server, conversation("a"))

    def ask():
        for _ in range(150):
            assert server.json("/medlar/history/a")["id"] == "a"
            assert server.json("/v1/memory")["limit"] > 0
            answered.append(1)

    answered = []
    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answered) == 600


def test_a_damaged_file_is_set_aside(medlar, home):
    folder = pathlib.Path(home["MEDLAR_HOME"])
    folder.mkdir(parents=True)
    (folder / "history.db").write_bytes(b"not a database at all" * 500)
    with Server(medlar, None, env=home) as server:
        assert server.json("/medlar/history")["data"] == []
        put(server, conversation("a"))
        log = server.log()
    kept = list(folder.glob("history.damaged-*.db"))
    assert len(kept) == 1 and kept[0].read_bytes() == b"not a database at all" * 500
    assert "begins anew" in log and kept[0].name in log


def test_kill_9_loses_nothing_that_was_acknowledged(medlar, home):
    """Eight times a server is killed in the middle of writes by two clients; then all that it confirmed is there."""
    acknowledged, chance = {}, random.Random(5)
    for turn in range(8):
        server = Server(medlar, None, env=home)
        enough = chance.randrange(5, 60)
        count = [0]

        def write(client):
            while True:
                name = f"c{client}-{chance.randrange(10)}"
                text = f"{turn} {count[0]} " + "text " * chance.randrange(2000)
                try:
                    revision = put(server, conversation(name, text))["revision"]
                except (OSError, AssertionError, http.client.HTTPException, json.JSONDecodeError):
                    return  # killed: this one was not acknowledged
                acknowledged[name] = (revision, text)
                count[0] += 1
                if count[0] >= enough:
                    server.process.send_signal(signal.SIGKILL)

        clients = [threading.Thread(target=write, args=(client,)) for client in range(2)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        server.process.wait()
        server.__exit__()
        with Server(medlar, None, env=home) as server:
            assert "anew" not in server.log()
            for name, (revision, text) in acknowledged.items():
                kept = server.json(f"/medlar/history/{name}")
                # A write that was not acknowledged may have arrived, but nothing older.
                assert kept["revision"] >= revision
                if kept["revision"] == revision:
                    assert kept["tree"]["messages"]["m1"]["content"] == text
                heads = server.json(f"/medlar/history?search={kept['title'].replace(' ', '+')}")["data"]
                assert name in [head["id"] for head in heads]
    assert len(acknowledged) > 10
