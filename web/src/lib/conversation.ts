// What is kept of a chat, and how it becomes the messages of a request.
import type { ChatRequest, ConversationHead, Sampling, WireMessage } from "../api/types";
import { withAttachments } from "./files";
import { emptyTree, type Message, type Tree } from "./tree";

export type Thinking = "default" | "on" | "off";

export interface Conversation extends ConversationHead {
  model: string; // empty: whichever is loaded
  system: string;
  sampling: Sampling;
  thinking: Thinking;
  tools: string; // JSON as the user wrote it; empty: none
  tree: Tree;
}

export function newConversation(from?: Partial<Conversation>): Conversation {
  const now = Date.now();
  return {
    model: "", system: "", sampling: {}, thinking: "default", tools: "",
    ...from,
    id: crypto.randomUUID(), title: "New chat", created: now, updated: now, revision: 0, tree: emptyTree(),
  };
}

function wire(message: Message): WireMessage {
  if (message.role === "tool")
    return { role: "tool", content: message.content, ...(message.toolCallId && { tool_call_id: message.toolCallId }) };
  const content = withAttachments(message.content, message.attachments);
  if (message.role === "assistant" && message.toolCalls?.length)
    return { role: "assistant", content: content || null, tool_calls: message.toolCalls };
  return { role: message.role, content };
}

// The tools the user wrote, or what is wrong with them.
export function parseTools(text: string): { tools: unknown[]; problem?: string } {
  if (text.trim() === "") return { tools: [] };
  try {
    const value: unknown = JSON.parse(text);
    const tools = Array.isArray(value) ? value : [value];
    const named = tools.every((tool) => typeof (tool as { function?: { name?: unknown } } | null)?.function?.name === "string");
    return named ? { tools } : { tools: [], problem: 'Each tool needs {"type": "function", "function": {"name": …}}.' };
  } catch (error) {
    return { tools: [], problem: `This is not JSON: ${(error as Error).message}` };
  }
}

// An answer that said nothing is left out: templates want a text or a call in each turn.
const says = (message: Message): boolean =>
  message.role !== "assistant" || message.content !== "" || (message.toolCalls?.length ?? 0) > 0;

export function chatRequest(conversation: Conversation, path: Message[], goOn = false): ChatRequest {
  const messages: WireMessage[] = path.filter(says).map(wire);
  if (conversation.system.trim() !== "") messages.unshift({ role: "system", content: conversation.system });
  const { tools } = parseTools(conversation.tools);
  return {
    ...(conversation.model && { model: conversation.model }),
    messages,
    stream: true,
    stream_options: { include_usage: true },
    return_progress: true,
    ...conversation.sampling,
    ...(conversation.thinking !== "default" && { chat_template_kwargs: { enable_thinking: conversation.thinking === "on" } }),
    ...(tools.length > 0 && { tools }),
    ...(goOn && { continue_final_message: true }),
  };
}

export const head = ({ id, title, created, updated, revision }: ConversationHead): ConversationHead =>
  ({ id, title, created, updated, revision });

// All text of a conversation, for searching where the server does not.
export function textOf(conversation: Conversation): string {
  const messages = Object.values(conversation.tree.messages);
  return [conversation.title, conversation.system, ...messages.map((message) => message.content)].join("\n");
}

export function snippet(text: string, search: string): string | undefined {
  const at = text.toLowerCase().indexOf(search.toLowerCase());
  if (at < 0) return undefined;
  const start = Math.max(0, at - 30);
  return `${start > 0 ? "…" : ""}${text.slice(start, at + search.length + 50).replace(/\s+/g, " ")}`;
}
