// Requests to the server this page came from, and its errors as one type.
import { readJsonLines } from "./stream";
import type {
  ChatRequest, ConversationHead, ConversationList, ErrorFacts, Memory, ModelFacts, ModelList, Props, PullProgress,
  StoredList,
} from "./types";

export type Failure = "offline" | "loading" | "busy" | "key" | "context" | "not_found" | "conflict" | "refused" | "broken";

export class ServerError extends Error {
  constructor(readonly failure: Failure, readonly facts: ErrorFacts, readonly status = 0, readonly retryAfter = 0) {
    super(facts.message);
  }
}

const KEY = "medlar.key";
export const apiKey = {
  get: (): string => localStorage.getItem(KEY) ?? "",
  set: (key: string): void => (key === "" ? localStorage.removeItem(KEY) : localStorage.setItem(KEY, key)),
};

function failureOf(status: number, facts: ErrorFacts): Failure {
  if (facts.code === "context_length_exceeded" || facts.type === "exceed_context_size_error") return "context";
  if (status === 401 || status === 403) return "key";
  if (status === 404) return "not_found";
  if (status === 412) return "conflict";
  if (status === 429) return "busy";
  if (status === 503) return "loading";
  return status >= 500 ? "broken" : "refused";
}

// The error out of a body in any of the forms the server's protocols have.
export function factsOf(text: string, status: number): ErrorFacts {
  try {
    const { error } = JSON.parse(text) as { error?: string | ErrorFacts };
    if (typeof error === "string") return { message: error };
    if (error && typeof error.message === "string") return error;
  } catch {
    // not JSON: a proxy, or something that is not this server
  }
  return { message: text.trim().slice(0, 300) || `the server answered ${status}` };
}

export async function request(path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  const key = apiKey.get();
  if (key !== "") headers.set("authorization", `Bearer ${key}`);
  if (init.body) headers.set("content-type", "application/json");
  let response: Response;
  try {
    response = await fetch(path, { ...init, headers, credentials: "omit", cache: "no-store" });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ServerError("offline", { message: "the server does not answer" });
  }
  if (response.ok) return response;
  const facts = factsOf(await response.text().catch(() => ""), response.status);
  const wait = Number(response.headers.get("retry-after") ?? 0) || 0;
  throw new ServerError(failureOf(response.status, facts), facts, response.status, wait);
}

async function json<T>(path: string, init?: RequestInit): Promise<T> {
  return (await request(path, init)).json() as Promise<T>;
}
const post = (body: unknown, signal?: AbortSignal): RequestInit => ({
  method: "POST",
  body: JSON.stringify(body),
  ...(signal && { signal }),
});
const historyPath = (id: string): string => `/medlar/history/${encodeURIComponent(id)}`;

export const api = {
  health: (signal: AbortSignal) => request("/health", { signal }),
  props: () => json<Props>("/props"),
  models: () => json<ModelList>("/v1/models"),
  stored: () => json<StoredList>("/medlar/models"),
  facts: (model: string) => json<ModelFacts>(`/medlar/models/${encodeURIComponent(model)}`),
  load: (model: string) => request("/v1/models/load", post({ model })),
  unload: (model: string) => request("/v1/models/unload", post({ model })),
  memory: () => json<Memory>("/v1/memory"),
  countTokens: async (content: string, signal: AbortSignal) =>
    (await json<{ tokens: unknown[] }>("/tokenize", post({ content }, signal))).tokens.length,
  chat: (body: ChatRequest, signal: AbortSignal) => request("/v1/chat/completions", post(body, signal)),

  async *pull(model: string, signal: AbortSignal): AsyncGenerator<PullProgress> {
    const response = await request("/api/pull", post({ model, stream: true }, signal));
    if (response.body) yield* readJsonLines<PullProgress>(response.body);
  },

  history: {
    list: async (search: string) =>
      (await json<ConversationList>(`/medlar/history${search ? `?search=${encodeURIComponent(search)}` : ""}`)).data,
    get: <T>(id: string) => json<T & { revision: number }>(historyPath(id)),
    put: (conversation: ConversationHead, revision: number) =>
      json<{ id: string; revision: number }>(historyPath(conversation.id), {
        method: "PUT",
        headers: { "if-match": `"${revision}"` },
        body: JSON.stringify(conversation),
      }),
    remove: (id: string) => request(historyPath(id), { method: "DELETE" }),
  },
};
