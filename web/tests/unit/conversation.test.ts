// Requests, files and what is exported.
import { describe, expect, it } from "vitest";
import { chatRequest, newConversation, parseTools, snippet } from "../../src/lib/conversation";
import { FileRefused, MOST_BYTES, quoted, readTextFile, withAttachments } from "../../src/lib/files";
import { exportText, importText, ImportRefused } from "../../src/lib/transfer";
import { append, shownPath } from "../../src/lib/tree";

function example() {
  const conversation = newConversation({ system: "Be brief.", sampling: { temperature: 0.2, stop: ["END"] }, model: "m" });
  const user = append(conversation.tree, null, { role: "user", content: "Weather?", attachments: [{ name: "a.txt", text: "x\n" }] });
  const call = append(conversation.tree, user.id, {
    role: "assistant", content: "", toolCalls: [{ id: "c", type: "function", function: { name: "weather", arguments: "{}" } }],
    stats: { promptTokens: 5, cachedTokens: 1, answerTokens: 2, firstTokenMs: 3 }, cache: { prompt_tokens: 5, cached_tokens: 1, miss: { position: 1, cached: "a", given: "b" } },
  });
  const result = append(conversation.tree, call.id, { role: "tool", content: "sun", toolCallId: "c" });
  append(conversation.tree, result.id, { role: "assistant", content: "Sunny." });
  return conversation;
}

describe("chatRequest", () => {
  it("sends the branch with the system prompt first", () => {
    const conversation = example();
    expect(chatRequest(conversation, shownPath(conversation.tree))).toEqual({
      model: "m",
      messages: [
        { role: "system", content: "Be brief." },
        { role: "user", content: "File: a.txt\n```\nx\n```\n\nWeather?" },
        { role: "assistant", content: null, tool_calls: [{ id: "c", type: "function", function: { name: "weather", arguments: "{}" } }] },
        { role: "tool", content: "sun", tool_call_id: "c" },
        { role: "assistant", content: "Sunny." },
      ],
      stream: true, stream_options: { include_usage: true }, return_progress: true, temperature: 0.2, stop: ["END"],
    });
  });
  it("leaves out what was not set, and answers that said nothing", () => {
    const conversation = newConversation();
    const user = append(conversation.tree, null, { role: "user", content: "hi" });
    append(conversation.tree, user.id, { role: "assistant", content: "", error: { message: "x", failure: "offline" } });
    const body = chatRequest(conversation, shownPath(conversation.tree));
    expect(body.messages).toEqual([{ role: "user", content: "hi" }]);
    expect(Object.keys(body).sort()).toEqual(["messages", "return_progress", "stream", "stream_options"]);
  });
  it("asks for reasoning, tools and going on only on request", () => {
    const conversation = newConversation({ thinking: "off", tools: '{"type":"function","function":{"name":"f"}}' });
    expect(chatRequest(conversation, [], true)).toMatchObject({ continue_final_message: true, chat_template_kwargs: { enable_thinking: false }, tools: [{ function: { name: "f" } }] });
  });
});

describe("parseTools", () => {
  it("says what is wrong", () => {
    expect(parseTools("").problem).toBeUndefined();
    expect(parseTools("[{").problem).toMatch(/not JSON/);
    expect(parseTools("[1]").problem).toMatch(/function/);
    expect(parseTools("null").problem).toMatch(/function/);
  });
});

describe("files", () => {
  it("quotes a file so that it cannot end its own quotation", () => {
    expect(quoted({ name: "a\nb.md", text: "```js\n````" })).toBe("File: a b.md\n`````\n```js\n````\n`````");
    expect(withAttachments("", [{ name: "a", text: "" }])).toBe("File: a\n```\n\n```");
  });
  it("takes text and refuses the rest", async () => {
    expect(await readTextFile(new File(["hé\r\n"], "a.txt"))).toEqual({ name: "a.txt", text: "hé\r\n" });
    await expect(readTextFile(new File([new Uint8Array([1, 0, 2])], "a.png"))).rejects.toThrow(FileRefused);
    await expect(readTextFile(new File([new Uint8Array([0xe9, 0x20])], "a.txt"))).rejects.toThrow(/UTF-8/);
    await expect(readTextFile(new File([new Uint8Array(MOST_BYTES + 1)], "a.txt"))).rejects.toThrow(/2 MB/);
  });
});

describe("export and import", () => {
  it("gives back what was written", () => {
    const conversation = example();
    expect(importText(exportText([conversation]))).toEqual([JSON.parse(JSON.stringify(conversation))]);
  });
  const file = (conversation: unknown): string => JSON.stringify({ format: "medlar-conversations", version: 1, conversations: [conversation] });
  const message = { role: "user", content: "x", parent: null };
  it.each([
    ["no JSON", "{", /not JSON/],
    ["another file", '{"a":1}', /not exported from this page/],
    ["a later version", '{"format":"medlar-conversations","version":9,"conversations":[]}', /version 9/],
    ["no tree", file({ title: "x" }), /no messages/],
    ["an unknown role", file({ tree: { messages: { a: { ...message, role: "root" } } } }), /no known role/],
    ["a parent that is not there", file({ tree: { messages: { a: { ...message, parent: "b" } } } }), /not in the file/],
    ["a parent from the prototype", file({ tree: { messages: { a: { ...message, parent: "toString" } } } }), /not in the file/],
    ["a circle", file({ tree: { messages: { a: { ...message, parent: "b" }, b: { ...message, parent: "a" } } } }), /ancestor/],
  ])("refuses %s", (_, text, reason) => {
    expect(() => importText(text)).toThrow(ImportRefused);
    expect(() => importText(text)).toThrow(reason);
  });
  it("drops fields of the wrong type", () => {
    const [read] = importText(file({ id: 5, title: ["x"], sampling: { temperature: "hot", top_k: 3, evil: 1 }, thinking: "maybe", tree: { messages: { a: { ...message, attachments: [1, { name: "n", text: "t" }] } } } }));
    expect(read).toMatchObject({ title: "New chat", sampling: { top_k: 3 }, thinking: "default" });
    expect(read?.sampling).not.toHaveProperty("evil");
    expect(read?.tree.messages.a?.attachments).toEqual([{ name: "n", text: "t" }]);
    expect(read?.tree.active).toBe("a");
  });
});

describe("snippet", () => {
  it("shows the words around a match", () => {
    expect(snippet(`${"a ".repeat(40)}The Medlar tree${" b".repeat(60)}`, "medlar")).toMatch(/^….*The Medlar tree b/);
    expect(snippet("abc", "x")).toBeUndefined();
  });
});
