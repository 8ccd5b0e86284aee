// A small server that speaks what docs/page.md says, for the page's tests. A test holds it as an object: it sets
// what is answered, and reads what was asked.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { readFile } from "node:fs/promises";
import { extname, join, normalize } from "node:path";
import type { AddressInfo } from "node:net";
import type { CacheReport, ChatChunk, ChatRequest, ConversationHead, ErrorFacts, Memory, PullProgress, StoredModel } from "../../src/api/types";

export const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const TYPES: Record<string, string> = { ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml" };

// One answer to a chat request.
export interface Script {
  chunks?: ChatChunk[]; // instead of text
  text?: string; // in pieces of a few characters
  delayMs?: number; // between pieces
  usage?: { prompt: number; cached: number; answer?: number };
  miss?: CacheReport["miss"];
  finish?: string;
  status?: number; // an error instead
  error?: ErrorFacts;
  breakAfter?: number; // pieces, then the connection is cut
  holdAfter?: number; // pieces, then nothing comes until the test calls release()
}

export const delta = (fields: NonNullable<NonNullable<ChatChunk["choices"]>[0]["delta"]>): ChatChunk => ({ choices: [{ index: 0, delta: fields, finish_reason: null }] });

const GB = 1e9;
const SMALL: StoredModel = { loaded: false, name: "smollm2:135m", size: 98_362_432, details: { family: "llama", parameter_size: "135M", quantization_level: "Q4_1" } };
const LARGE: StoredModel = { loaded: false, name: "qwen3:8b", size: 5_030_000_000, details: { family: "qwen3", parameter_size: "8.2B", quantization_level: "Q4_K_M" } };

type Stored = ConversationHead & { tree: { messages: Record<string, { content: string }> } };

export class MockServer {
  scripts: Script[] = [];
  fallback: Script = { text: "Hello! How can I help?" };
  asked: ChatRequest[] = [];
  requests: string[] = [];
  stored: StoredModel[] = [SMALL, LARGE];
  loaded: string[] = [SMALL.name];
  loading = ""; // a reason: everything that needs a model answers 503
  key = "";
  context = 8192;
  hasHistory = true;
  history = new Map<string, Stored>();
  pulls: PullProgress[] = [];
  pullDelayMs = 30;
  memory: Memory = {
    limit: 12 * GB,
    categories: { weights_mapped: 5.13 * GB, weights_resident: 4.6 * GB, kv: 1.2 * GB, cache: 0.8 * GB, activations: 0.1 * GB, scratch: 0.25 * GB, tables: 0, buffers: 0, other: 0.12 * GB },
  };
  release: () => void = () => undefined;
  private server: Server | undefined;
  private port = 0;

  constructor(private readonly dist: string) {}

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }
  async start(): Promise<void> {
    this.server = createServer((request, response) => {
      this.handle(request, response).catch((error: unknown) => {
        if (!response.headersSent) this.json(response, { error: { message: String(error) } }, 500);
        else response.destroy();
      });
    });
    await new Promise<void>((resolve) => this.server?.listen(this.port, "127.0.0.1", resolve));
    this.port = (this.server.address() as AddressInfo).port;
  }
  async stop(): Promise<void> {
    this.server?.closeAllConnections();
    await new Promise((resolve) => this.server?.close(resolve));
  }

  private json(response: ServerResponse, body: unknown, status = 200): void {
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  }
  private fail(response: ServerResponse, status: number, error: ErrorFacts): void {
    if (status === 503) response.setHeader("retry-after", "1");
    this.json(response, { error }, status);
  }
  private async body<T>(request: IncomingMessage): Promise<T> {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    return JSON.parse(Buffer.concat(parts).toString("utf-8")) as T;
  }

  private async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", this.url);
    const route = `${request.method} ${url.pathname}`;
    this.requests.push(route);
    if (request.method === "GET" && (url.pathname === "/" || url.pathname.startsWith("/assets/") || url.pathname === "/icon.svg")) return this.file(response, url.pathname);
    if (this.key !== "" && request.headers.authorization !== `Bearer ${this.key}`) return this.fail(response, 401, { message: "an API key is needed" });
    if (url.pathname.startsWith("/medlar/history")) return this.answerHistory(request, response, url);
    if (url.pathname.startsWith("/medlar/models/")) return this.json(response, { name: decodeURIComponent(url.pathname.slice(15)), chat: true, facts: { architecture: "llama", layers: 30, trained_context: 8192, license: "Apache-2.0" } });
    switch (route) {
      case "GET /health": return this.loading ? this.fail(response, 503, { message: this.loading, code: 503 }) : this.json(response, { status: "ok" });
      case "GET /v1/models": return this.json(response, { object: "list", data: this.loaded.map((id) => ({ id, object: "model", meta: { n_ctx: this.context } })) });
      case "GET /props": return this.json(response, { default_generation_settings: { n_ctx: this.context, params: { temperature: 0.8, top_p: 0.95, top_k: 40, min_p: 0.05, repeat_penalty: 1 } } });
      case "GET /medlar/models": return this.json(response, { object: "list", data: this.stored.map((model) => (this.loaded.includes(model.name) ? { ...model, loaded: true, context_length: this.context } : model)), catalogue: [{ name: "gemma3:1b", size: 769e6, parameter_size: "1.0B" }] });
      case "GET /v1/memory": return this.json(response, this.memory);
      case "POST /tokenize": return this.json(response, { tokens: (await this.body<{ content: string }>(request)).content.split(/\s+/).map((_, i) => i) });
      case "POST /v1/models/load": return this.move(request, response, true);
      case "POST /v1/models/unload": return this.move(request, response, false);
      case "POST /api/pull": return this.pull(request, response);
      case "POST /v1/chat/completions": return this.chat(request, response);
      default: return this.fail(response, 404, { message: `there is no ${route}` });
    }
  }

  private async file(response: ServerResponse, path: string): Promise<void> {
    const name = normalize(path === "/" ? "/index.html" : path);
    const data = await readFile(join(this.dist, name));
    response.writeHead(200, {
      "content-type": TYPES[extname(name)] ?? "application/octet-stream",
      "content-security-policy": POLICY,
      "x-content-type-options": "nosniff",
      "referrer-policy": "no-referrer",
    }).end(data);
  }

  private async move(request: IncomingMessage, response: ServerResponse, load: boolean): Promise<void> {
    const { model } = await this.body<{ model: string }>(request);
    if (!this.stored.some((stored) => stored.name === model)) return this.fail(response, 404, { message: `${model} is not here` });
    await pause(50);
    this.loaded = load ? [model] : this.loaded.filter((name) => name !== model);
    this.json(response, { model, status: load ? "loaded" : "unloaded" });
  }

  private async pull(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { model } = await this.body<{ model: string }>(request);
    response.writeHead(200, { "content-type": "application/x-ndjson" });
    for (const step of this.pulls) {
      response.write(`${JSON.stringify(step)}\n`);
      await pause(this.pullDelayMs);
    }
    if (this.pulls.at(-1)?.status === "success") this.stored = [...this.stored, { name: model, size: 253_000_000, loaded: false }];
    response.end();
  }

  private async chat(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await this.body<ChatRequest>(request);
    if (this.loading) return this.fail(response, 503, { message: this.loading });
    this.asked.push(body);
    const script = this.scripts.shift() ?? this.fallback;
    if (script.status) return this.fail(response, script.status, script.error ?? { message: "it failed" });
    response.writeHead(200, { "content-type": "text/event-stream" });
    const send = (chunk: ChatChunk): boolean => response.write(`data: ${JSON.stringify(chunk)}\n\n`);
    response.write(": reading the prompt\n\n");
    const chunks = script.chunks ?? (script.text ?? "").match(/[\s\S]{1,7}/gu)?.map((content) => delta({ content })) ?? [];
    for (const [i, chunk] of chunks.entries()) {
      if (i === script.holdAfter) await new Promise<void>((resolve) => (this.release = resolve));
      if (i === script.breakAfter) return void response.destroy();
      send(chunk);
      if (script.delayMs) await pause(script.delayMs);
    }
    this.finish(send, script, chunks.length);
    response.end("data: [DONE]\n\n");
  }
  private finish(send: (chunk: ChatChunk) => boolean, { finish = "stop", usage = { prompt: 120, cached: 90 }, miss = null }: Script, answer: number): void {
    const cache = { prompt_tokens: usage.prompt, cached_tokens: usage.cached, miss };
    const timings = { prompt_per_second: 900, predicted_per_second: 42.5, first_token_ms: 180, predicted_n: answer, prompt_n: usage.prompt - usage.cached, cache_n: usage.cached };
    send({ choices: [{ index: 0, delta: {}, finish_reason: finish }], timings, medlar: { cache, seed: 7 } });
    send({ choices: [], usage: { prompt_tokens: usage.prompt, completion_tokens: usage.answer ?? answer, prompt_tokens_details: { cached_tokens: usage.cached } } });
  }

  private async answerHistory(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    if (!this.hasHistory) return this.fail(response, 404, { message: "there is no such route" });
    const id = decodeURIComponent(url.pathname.slice("/medlar/history/".length));
    const found = this.history.get(id);
    if (id === "") return this.json(response, { object: "list", data: this.heads(url.searchParams.get("search") ?? "") });
    if (request.method === "PUT") return this.keep(request, response, id);
    if (!found) return this.fail(response, 404, { message: `there is no conversation ${id}`, code: "conversation_not_found" });
    if (request.method === "DELETE") this.history.delete(id);
    this.json(response, request.method === "DELETE" ? { id, deleted: true } : found);
  }
  private heads(search: string): ConversationHead[] {
    const all = [...this.history.values()].sort((a, b) => b.updated - a.updated);
    const head = ({ id, title, created, updated, revision }: Stored): ConversationHead => ({ id, title, created, updated, revision });
    if (search === "") return all.map(head);
    const match = (text: string): boolean => text.toLowerCase().includes(search.toLowerCase());
    return all.flatMap((one) => {
      const text = [one.title, ...Object.values(one.tree.messages).map((message) => message.content)].find(match);
      return text === undefined ? [] : [{ ...head(one), snippet: text.slice(0, 80) }];
    });
  }
  private async keep(request: IncomingMessage, response: ServerResponse, id: string): Promise<void> {
    const body = await this.body<Stored>(request);
    const revision = this.history.get(id)?.revision ?? 0;
    const match = request.headers["if-match"];
    if (match !== undefined && match !== `"${revision}"`) return this.fail(response, 412, { message: "the conversation was written by somebody else meanwhile" });
    this.history.set(id, { ...body, id, revision: revision + 1 });
    this.json(response, { id, revision: revision + 1 });
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
