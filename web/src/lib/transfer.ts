// Conversations as a JSON file: written for others to read, and read without trust.
import type { Failure } from "../api/client";
import type { CacheReport, Sampling } from "../api/types";
import { newConversation, type Conversation, type Thinking } from "./conversation";
import type { Attachment, Message, Tree } from "./tree";
import { KNOBS } from "./presets";

const FORMAT = "medlar-conversations";

export class ImportRefused extends Error {}

export function exportText(conversations: Conversation[]): string {
  return `${JSON.stringify({ format: FORMAT, version: 1, exported: new Date().toISOString(), conversations }, null, 1)}\n`;
}

type Fields = Record<string, unknown>;
const isObject = (value: unknown): value is Fields => typeof value === "object" && value !== null && !Array.isArray(value);
const text = (value: unknown): string => (typeof value === "string" ? value : "");
const time = (value: unknown): number => (typeof value === "number" && Number.isFinite(value) ? value : Date.now());

function readSampling(value: unknown): Sampling {
  if (!isObject(value)) return {};
  const sampling: Sampling = {};
  for (const { key } of KNOBS) {
    const given = value[key];
    if (typeof given === "number" && Number.isFinite(given)) sampling[key] = given;
  }
  if (Array.isArray(value.stop)) sampling.stop = value.stop.filter((stop): stop is string => typeof stop === "string");
  return sampling;
}

function readNumbers(value: unknown): Record<string, number> | undefined {
  if (!isObject(value)) return undefined;
  return Object.fromEntries(Object.entries(value).filter((entry): entry is [string, number] => typeof entry[1] === "number"));
}

function readCache(value: Fields): CacheReport {
  const { prompt_tokens = 0, cached_tokens = 0 } = readNumbers(value) ?? {};
  const { miss } = value;
  if (!isObject(miss)) return { prompt_tokens, cached_tokens, miss: null };
  const position = typeof miss.position === "number" ? miss.position : 0;
  return { prompt_tokens, cached_tokens, miss: { position, cached: text(miss.cached), given: text(miss.given) } };
}

const FAILURES: readonly Failure[] = ["offline", "loading", "busy", "key", "context", "not_found", "conflict", "refused", "broken"];

function readError(value: Fields): Message["error"] {
  const failure = FAILURES.find((name) => name === value.failure) ?? "broken";
  return { ...readNumbers(value), message: text(value.message), failure };
}

const isAttachment = (value: unknown): value is Attachment =>
  isObject(value) && typeof value.name === "string" && typeof value.text === "string";

function readMessage(id: string, value: unknown): Message {
  if (!isObject(value)) throw new ImportRefused(`message ${id} is not an object`);
  const { role, parent } = value;
  if (role !== "user" && role !== "assistant" && role !== "tool") throw new ImportRefused(`message ${id} has no known role`);
  const message: Message = { id, role, parent: typeof parent === "string" ? parent : null, content: text(value.content), created: time(value.created) };
  for (const key of ["active", "model", "reasoning", "toolCallId", "finish"] as const)
    if (typeof value[key] === "string") message[key] = value[key];
  const stats = readNumbers(value.stats);
  if (stats) message.stats = { promptTokens: 0, cachedTokens: 0, answerTokens: 0, firstTokenMs: 0, ...stats };
  if (typeof value.reasoningMs === "number") message.reasoningMs = value.reasoningMs;
  if (isObject(value.cache)) message.cache = readCache(value.cache);
  if (isObject(value.error)) message.error = readError(value.error);
  if (Array.isArray(value.attachments)) message.attachments = value.attachments.filter(isAttachment).map(({ name, text }) => ({ name, text }));
  if (Array.isArray(value.toolCalls))
    message.toolCalls = value.toolCalls.filter(isObject).map((call) => {
      const { name, arguments: given } = isObject(call.function) ? call.function : ({} as Fields);
      return { id: text(call.id), type: "function", function: { name: text(name), arguments: text(given) } };
    });
  return message;
}

// Every message must hang on the tree: a parent that exists, and no circle.
function checkShape({ messages }: Tree): void {
  for (const message of Object.values(messages)) {
    let steps = Object.keys(messages).length;
    for (let at: Message | undefined = message; at && at.parent !== null; at = messages[at.parent]) {
      if (!Object.hasOwn(messages, at.parent)) throw new ImportRefused(`message ${at.id} answers one that is not in the file`);
      if (steps-- < 0) throw new ImportRefused(`message ${message.id} is its own ancestor`);
    }
  }
}

function readTree(value: unknown): Tree {
  if (!isObject(value) || !isObject(value.messages)) throw new ImportRefused("a conversation has no messages");
  const entries = Object.entries(value.messages).map(([id, message]) => [id, readMessage(id, message)] as const);
  const tree: Tree = { messages: Object.fromEntries(entries), active: text(value.active) || undefined };
  checkShape(tree);
  if (tree.active === undefined || !tree.messages[tree.active]) tree.active = entries.find(([, message]) => message.parent === null)?.[0];
  return tree;
}

// Also what the server kept goes through here: an older or newer page may have written it.
export function readConversation(value: unknown): Conversation {
  if (!isObject(value)) throw new ImportRefused("a conversation is not an object");
  const thinking: Thinking = value.thinking === "on" || value.thinking === "off" ? value.thinking : "default";
  return {
    ...newConversation(),
    ...(text(value.id) && { id: text(value.id) }),
    title: text(value.title) || "New chat",
    created: time(value.created),
    updated: time(value.updated),
    revision: typeof value.revision === "number" ? value.revision : 0,
    model: text(value.model),
    system: text(value.system),
    tools: text(value.tools),
    thinking,
    sampling: readSampling(value.sampling),
    tree: readTree(value.tree),
  };
}

export function importText(file: string): Conversation[] {
  let value: unknown;
  try {
    value = JSON.parse(file);
  } catch {
    throw new ImportRefused("the file is not JSON");
  }
  if (!isObject(value) || value.format !== FORMAT || !Array.isArray(value.conversations))
    throw new ImportRefused("the file was not exported from this page");
  if (value.version !== 1) throw new ImportRefused(`the file has version ${String(value.version)}; this page reads version 1`);
  return value.conversations.map(readConversation);
}
