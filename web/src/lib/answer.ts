// An answer as it arrives: each chunk of the stream is added to the message.
import type { ChatChunk, ToolCall, ToolCallDelta, Usage } from "../api/types";
import type { Message } from "./tree";

export interface Progress {
  startedAt: number; // performance.now()
  firstAt?: number; // of the first token of any kind
  contentAt?: number;
  lastAt?: number;
  tokens: number; // chunks with text, which is a token each or nearly so
  reading?: { processed: number; total: number };
}

export const startProgress = (now: number): Progress => ({ startedAt: now, tokens: 0 });

function addCall(message: Message, delta: ToolCallDelta): void {
  message.toolCalls ??= [];
  const calls = message.toolCalls; // read back: the page's state watches its own copy
  const index = delta.index ?? calls.length;
  if (!Number.isInteger(index) || index < 0 || index > 1000) return;
  while (calls.length <= index) calls.push({ id: "", type: "function", function: { name: "", arguments: "" } });
  const call = calls[index] as ToolCall;
  call.id = delta.id ?? call.id;
  call.function.name += delta.function?.name ?? "";
  call.function.arguments += delta.function?.arguments ?? "";
}

function addUsage(message: Message, usage: Usage): void {
  message.stats = {
    ...(message.stats ?? { firstTokenMs: 0 }),
    promptTokens: usage.prompt_tokens,
    cachedTokens: usage.prompt_tokens_details?.cached_tokens ?? 0,
    answerTokens: usage.completion_tokens,
  };
}

export function addChunk(message: Message, chunk: ChatChunk, progress: Progress, now: number): void {
  if (chunk.prompt_progress) progress.reading = chunk.prompt_progress;
  const choice = chunk.choices?.[0];
  const delta = choice?.delta;
  if (delta?.content || delta?.reasoning_content || delta?.tool_calls?.length) {
    progress.firstAt ??= now;
    progress.lastAt = now;
    ++progress.tokens;
  }
  if (delta?.reasoning_content) message.reasoning = (message.reasoning ?? "") + delta.reasoning_content;
  if (delta?.content || delta?.tool_calls?.length) {
    if (message.reasoning && progress.contentAt === undefined) message.reasoningMs = now - (progress.firstAt ?? now);
    progress.contentAt ??= now;
  }
  if (delta?.content) message.content += delta.content;
  for (const call of delta?.tool_calls ?? []) addCall(message, call);
  if (choice?.finish_reason) message.finish = choice.finish_reason;
  if (chunk.usage) addUsage(message, chunk.usage);
  if (chunk.medlar?.cache) message.cache = chunk.medlar.cache;
  if (chunk.timings) addTimings(message, chunk);
}

function addTimings(message: Message, { timings = {} }: ChatChunk): void {
  message.stats = {
    promptTokens: (timings.prompt_n ?? 0) + (timings.cache_n ?? 0),
    cachedTokens: timings.cache_n ?? 0,
    answerTokens: timings.predicted_n ?? 0,
    ...message.stats,
    firstTokenMs: timings.first_token_ms ?? message.stats?.firstTokenMs ?? 0,
    promptRate: timings.prompt_per_second,
    answerRate: timings.predicted_per_second,
  };
}

// Tokens per second since the first one; undefined while that says nothing.
export function liveRate({ firstAt, tokens }: Progress, now: number): number | undefined {
  if (firstAt === undefined || tokens < 2 || now - firstAt < 50) return undefined;
  return (1000 * (tokens - 1)) / (now - firstAt);
}

// Fills in from the page's own clock what the server did not report.
export function finishStats(message: Message, progress: Progress): void {
  if (progress.firstAt === undefined) return;
  const measured = progress.firstAt - progress.startedAt;
  const stats = message.stats ?? { promptTokens: 0, cachedTokens: 0, answerTokens: progress.tokens, firstTokenMs: 0 };
  message.stats = {
    ...stats,
    firstTokenMs: stats.firstTokenMs > 0 ? stats.firstTokenMs : measured,
    answerRate: stats.answerRate ?? liveRate(progress, progress.lastAt ?? progress.startedAt),
  };
}
