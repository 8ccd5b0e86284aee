// An answer put together from chunks.
import { describe, expect, it } from "vitest";
import { addChunk, finishStats, liveRate, startProgress } from "../../src/lib/answer";
import type { ChatChunk } from "../../src/api/types";
import type { Message } from "../../src/lib/tree";

const blank = (): Message => ({ id: "a", parent: null, role: "assistant", content: "", created: 0 });
const delta = (fields: object, finish?: string): ChatChunk => ({ choices: [{ index: 0, delta: fields, finish_reason: finish ?? null }] });

function receive(chunks: ChatChunk[]) {
  const [message, progress] = [blank(), startProgress(0)];
  chunks.forEach((chunk, i) => addChunk(message, chunk, progress, 100 * (i + 1)));
  return { message, progress };
}

describe("addChunk", () => {
  it("puts text together", () => {
    const { message } = receive([delta({ role: "assistant", content: "" }), delta({ content: "Hel" }), delta({ content: "lo" }), delta({}, "stop")]);
    expect(message).toMatchObject({ content: "Hello", finish: "stop" });
  });
  it("keeps reasoning apart, and its time", () => {
    const { message } = receive([delta({ reasoning_content: "Hm, " }), delta({ reasoning_content: "yes." }), delta({ content: "Yes" })]);
    expect(message).toMatchObject({ reasoning: "Hm, yes.", content: "Yes", reasoningMs: 200 });
  });
  it("puts parallel tool calls together from their pieces", () => {
    const { message } = receive([
      delta({ tool_calls: [{ index: 0, id: "c0", function: { name: "weather", arguments: "" } }] }),
      delta({ tool_calls: [{ index: 1, id: "c1", function: { name: "time", arguments: "{}" } }] }),
      delta({ tool_calls: [{ index: 0, function: { arguments: '{"city":' } }] }),
      delta({ tool_calls: [{ index: 0, function: { arguments: '"Rome"}' } }] }, "tool_calls"),
    ]);
    expect(message.toolCalls).toEqual([
      { id: "c0", type: "function", function: { name: "weather", arguments: '{"city":"Rome"}' } },
      { id: "c1", type: "function", function: { name: "time", arguments: "{}" } },
    ]);
  });
  it("does not let a wild index fill the memory", () => {
    const { message } = receive([delta({ tool_calls: [{ index: 1e9, function: { name: "x" } }] }), delta({ tool_calls: [{ index: -1 }] })]);
    expect(message.toolCalls ?? []).toHaveLength(0);
  });
  it("reads usage, timings and the cache's report", () => {
    const cache = { prompt_tokens: 100, cached_tokens: 80, miss: { position: 80, cached: "a", given: "b" } };
    const { message, progress } = receive([
      delta({ content: "x" }),
      { choices: [], timings: { first_token_ms: 25, predicted_per_second: 40, prompt_per_second: 500 }, medlar: { cache } },
      { choices: [], usage: { prompt_tokens: 100, completion_tokens: 12, prompt_tokens_details: { cached_tokens: 80 } } },
    ]);
    finishStats(message, progress);
    expect(message.cache).toEqual(cache);
    expect(message.stats).toEqual({ promptTokens: 100, cachedTokens: 80, answerTokens: 12, firstTokenMs: 25, answerRate: 40, promptRate: 500 });
  });
  it("measures by itself where the server tells nothing", () => {
    const { message, progress } = receive([delta({ content: "a" }), delta({ content: "b" }), delta({ content: "c" })]);
    finishStats(message, progress);
    expect(message.stats).toMatchObject({ firstTokenMs: 100, answerTokens: 3, answerRate: 10 });
  });
  it("shows how far the prompt is read", () => {
    expect(receive([{ choices: [], prompt_progress: { processed: 512, total: 2048 } }]).progress.reading).toEqual({ processed: 512, total: 2048 });
  });
  it("takes chunks with null in every place", () => {
    const { message } = receive([{ choices: [{ index: 0, delta: { content: null, reasoning_content: null }, finish_reason: null }], usage: null }, {}]);
    expect(message.content).toBe("");
  });
});

describe("liveRate", () => {
  it("is unknown before the second token", () => {
    expect(liveRate(startProgress(0), 1000)).toBeUndefined();
    expect(liveRate({ startedAt: 0, firstAt: 0, tokens: 11 }, 1000)).toBe(10);
  });
});
