// A conversation as a tree of messages: editing and retrying add a branch, nothing is overwritten.
import type { CacheReport, ErrorFacts, ToolCall } from "../api/types";
import type { Failure } from "../api/client";

export interface Attachment {
  name: string;
  text: string;
}

// What an answer cost. Rates in tokens per second, times in milliseconds.
export interface Stats {
  promptTokens: number;
  cachedTokens: number;
  answerTokens: number;
  firstTokenMs: number;
  promptRate?: number;
  answerRate?: number;
}

export interface Message {
  id: string;
  parent: string | null;
  role: "user" | "assistant" | "tool";
  content: string;
  created: number;
  active?: string; // the child that is shown
  attachments?: Attachment[];
  model?: string;
  reasoning?: string;
  reasoningMs?: number;
  toolCalls?: ToolCall[];
  toolCallId?: string;
  finish?: string; // stop, length, tool_calls, stopped (by the user), error
  stats?: Stats;
  cache?: CacheReport;
  error?: ErrorFacts & { failure: Failure };
}

export interface Tree {
  messages: Record<string, Message>;
  active?: string; // the first message that is shown
}

export const emptyTree = (): Tree => ({ messages: {} });

// In the order they were added.
export function children(tree: Tree, parent: string | null): Message[] {
  return Object.values(tree.messages).filter((message) => message.parent === parent).sort((a, b) => a.created - b.created || (a.id < b.id ? -1 : 1));
}

// The messages from the first one down the branch that is shown.
export function shownPath(tree: Tree): Message[] {
  const path: Message[] = [];
  const seen = new Set<string>();
  let id = tree.active;
  while (id !== undefined && !seen.has(id)) {
    const message = tree.messages[id];
    if (!message) break;
    seen.add(id);
    path.push(message);
    id = message.active;
  }
  return path;
}

export function pathTo(tree: Tree, id: string | null): Message[] {
  const path: Message[] = [];
  const seen = new Set<string>();
  for (let at = id; at !== null && !seen.has(at); ) {
    const message = tree.messages[at];
    if (!message) break;
    seen.add(at);
    path.unshift(message);
    at = message.parent;
  }
  return path;
}

export type NewMessage = Omit<Message, "id" | "parent" | "created"> & { id?: string };

// Adds a message below `parent` and shows it. Later siblings get later times, so that their order is kept.
export function append(tree: Tree, parent: string | null, fields: NewMessage): Message {
  const latest = Math.max(0, ...children(tree, parent).map((sibling) => sibling.created + 1));
  const id = fields.id ?? crypto.randomUUID();
  tree.messages[id] = { ...fields, id, parent, created: Math.max(Date.now(), latest) };
  show(tree, id);
  return tree.messages[id] as Message;
}

// Shows the branch that holds the message; below it, whichever branch was shown last.
export function show(tree: Tree, id: string): void {
  for (const message of pathTo(tree, id)) {
    const above = message.parent === null ? tree : tree.messages[message.parent];
    if (above) above.active = message.id;
  }
}

export interface Siblings {
  index: number;
  count: number;
  previous?: string;
  next?: string;
}

export function siblings(tree: Tree, message: Message): Siblings {
  const all = children(tree, message.parent);
  const index = all.findIndex((sibling) => sibling.id === message.id);
  return { index, count: all.length, previous: all[index - 1]?.id, next: all[index + 1]?.id };
}

// Removes a message and all below it; a sibling is shown in its place.
export function remove(tree: Tree, id: string): void {
  const message = tree.messages[id];
  if (!message) return;
  const { previous, next } = siblings(tree, message);
  const todo = [id];
  for (let at = todo.pop(); at !== undefined; at = todo.pop()) {
    todo.push(...children(tree, at).map((child) => child.id));
    delete tree.messages[at];
  }
  const above = message.parent === null ? tree : tree.messages[message.parent];
  if (above?.active === id) above.active = previous ?? next;
}

// Both trees' messages: two windows may have added branches to the same conversation. Where both know a message,
// the one that says more is kept: an answer only ever grows.
export function merge(mine: Tree, theirs: Tree): Tree {
  const messages = { ...theirs.messages };
  for (const [id, message] of Object.entries(mine.messages)) {
    const other = messages[id];
    if (!other || other.content.length <= message.content.length) messages[id] = message;
  }
  return { messages, active: mine.active ?? theirs.active };
}
