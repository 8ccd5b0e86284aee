// The conversation on the page, and the answers being written: one per conversation, also of those not shown.
import { tick } from "svelte";
import { SvelteMap } from "svelte/reactivity";
import { api, ServerError } from "../api/client";
import { readEvents } from "../api/stream";
import type { ChatChunk, ChatRequest } from "../api/types";
import { addChunk, finishStats, startProgress, type Progress } from "../lib/answer";
import { chatRequest, newConversation, type Conversation } from "../lib/conversation";
import { plural, titleOf } from "../lib/format";
import { append, pathTo, remove, show, shownPath, type Attachment, type Message } from "../lib/tree";
import { library } from "./library.svelte";
import { metrics } from "./metrics.svelte";
import { prefs } from "./prefs.svelte";
import { pause, server } from "./server.svelte";
import { ui } from "./ui.svelte";

export interface Run {
  conversation: Conversation;
  answer: string; // the message's id
  controller: AbortController;
  progress: Progress;
  waiting: string; // why nothing comes yet; empty: nothing to wait for
}

const SAVE_MS = 4000;

class Chat {
  current = $state<Conversation>(newConversation({ model: prefs.model }));
  editing = $state<string | null>(null); // the message's id
  readonly runs = new SvelteMap<string, Run>();

  get path(): Message[] {
    return shownPath(this.current.tree);
  }
  get run(): Run | undefined {
    return this.runs.get(this.current.id);
  }
  get isNew(): boolean {
    return Object.keys(this.current.tree.messages).length === 0;
  }

  startNew(): void {
    if (!this.isNew) this.forget();
  }
  // Leaves the conversation; what was set up for it stays set up.
  forget(): void {
    const { model, system, sampling, thinking, tools } = this.current;
    this.editing = null;
    this.current = newConversation({ model: model || prefs.model, system, sampling: { ...sampling }, thinking, tools });
    location.hash = "";
  }
  async open(id: string): Promise<void> {
    if (id === this.current.id) return;
    this.editing = null;
    const running = this.runs.get(id)?.conversation;
    try {
      const found = running ?? (await library.get(id));
      if (!found) return this.lost("This conversation is not here any more.");
      this.current = found;
      location.hash = `/c/${id}`;
    } catch (error) {
      this.lost((error as Error).message);
    }
  }
  private lost(problem: string): void {
    ui.note(problem, { bad: true });
    if (this.isNew) location.hash = "";
  }

  async send(content: string, attachments: Attachment[] = []): Promise<void> {
    if (this.run) return;
    const conversation = this.current;
    const last = shownPath(conversation.tree).at(-1);
    if (!last) conversation.title = titleOf(content || attachments[0]?.name || "");
    const parent = last?.role === "user" ? last.parent : (last?.id ?? null);
    const message = append(conversation.tree, parent, { role: "user", content, ...(attachments.length > 0 && { attachments }) });
    location.hash = `/c/${conversation.id}`;
    await this.answer(conversation, message.id);
  }
  // The results of the answer's tool calls, in their order.
  async giveResults(answer: Message, results: string[]): Promise<void> {
    const conversation = this.current;
    let parent = answer.id;
    for (const [i, call] of (answer.toolCalls ?? []).entries())
      parent = append(conversation.tree, parent, { role: "tool", content: results[i] ?? "", toolCallId: call.id }).id;
    await this.answer(conversation, parent);
  }
  async retry(message: Message): Promise<void> {
    if (this.run) return;
    if (message.role !== "assistant") return this.answer(this.current, message.id);
    // An answer that failed before it said anything is no branch worth keeping.
    const parent = message.parent;
    if (message.error && message.content === "" && !message.reasoning) remove(this.current.tree, message.id);
    if (parent !== null) await this.answer(this.current, parent);
  }
  // Another wording beside the first; what followed the first stays on its branch.
  async edit(message: Message, content: string): Promise<void> {
    this.editing = null;
    const conversation = this.current;
    const { role, attachments, model } = message;
    if (role === "user") {
      if (this.run) return;
      const copy = append(conversation.tree, message.parent, { role, content, ...(attachments && { attachments }) });
      return this.answer(conversation, copy.id);
    }
    append(conversation.tree, message.parent, { role, content, ...(model && { model }), finish: "edited" });
    await this.touch(conversation);
  }
  async goOn(message: Message): Promise<void> {
    if (!this.run) await this.answer(this.current, message.parent, message);
  }
  showBranch(id: string): void {
    show(this.current.tree, id);
    void this.touch(this.current, false);
  }
  stop(): void {
    this.run?.controller.abort();
  }
  async touch(conversation: Conversation, changed = true): Promise<void> {
    if (changed) conversation.updated = Date.now();
    await library.save(conversation);
  }

  // Has the model answer the message `parent`, or go on with an answer that is there.
  private async answer(conversation: Conversation, parent: string | null, begun?: Message): Promise<void> {
    const body = chatRequest(conversation, begun ? pathTo(conversation.tree, begun.id) : pathTo(conversation.tree, parent), begun !== undefined);
    const message = begun ?? append(conversation.tree, parent, { role: "assistant", content: "", model: conversation.model || server.loaded });
    delete message.error;
    delete message.finish;
    this.runs.set(conversation.id, { conversation, answer: message.id, controller: new AbortController(), progress: startProgress(performance.now()), waiting: "" });
    // Read back through the state, so that changes are seen.
    const run = $state(this.runs.get(conversation.id) as Run);
    this.runs.set(conversation.id, run);
    ui.say("The model is answering.");
    void this.touch(conversation);
    const saver = setInterval(() => void library.save(conversation), SAVE_MS);
    const outcome = await this.receive(run, conversation.tree.messages[message.id] as Message, body);
    clearInterval(saver);
    this.runs.delete(conversation.id);
    await tick(); // the last block is spoken before its end
    ui.say(outcome);
    await this.touch(conversation);
  }

  // Tells how it ended, in words.
  private async receive(run: Run, message: Message, body: ChatRequest): Promise<string> {
    try {
      const response = await this.admitted(run, body);
      if (response.body) await this.readStream(run, message, response.body);
      finishStats(message, run.progress);
      if (message.stats) metrics.add(message.stats, message.model ?? "");
      return message.stats ? `The answer is complete, ${plural(message.stats.answerTokens, "token")}.` : "The answer is complete.";
    } catch (error) {
      finishStats(message, run.progress);
      if (run.controller.signal.aborted) {
        message.finish = "stopped";
        return "Stopped.";
      }
      const known = error instanceof ServerError ? error : new ServerError("offline", { message: "the connection broke while the answer was being written" });
      message.finish = "error";
      message.error = { ...known.facts, failure: known.failure };
      if (known.failure === "key") ui.key = true;
      if (known.failure === "offline") void server.checkHealth();
      return `The answer failed: ${known.message}`;
    }
  }
  // Asks again while a model loads: the server says when.
  private async admitted(run: Run, body: ChatRequest): Promise<Response> {
    for (;;) {
      while (server.moving[body.model ?? ""] === "load") {
        run.waiting = `loading ${body.model}`;
        await pause(200, run.controller.signal);
        run.progress.startedAt = performance.now();
      }
      try {
        const response = await api.chat(body, run.controller.signal);
        run.waiting = "";
        return response;
      } catch (error) {
        if (!(error instanceof ServerError) || error.failure !== "loading" || !/load/i.test(error.message)) throw error;
        run.waiting = error.message;
        await pause(1000 * Math.min(10, Math.max(1, error.retryAfter)), run.controller.signal);
        run.progress.startedAt = performance.now();
      }
    }
  }
  private async readStream(run: Run, message: Message, stream: ReadableStream<Uint8Array>): Promise<void> {
    for await (const { data } of readEvents(stream)) {
      if (data === "[DONE]") return;
      const chunk = JSON.parse(data) as ChatChunk;
      if (chunk.error) throw new ServerError("broken", chunk.error);
      addChunk(message, chunk, run.progress, performance.now());
    }
    if (!message.finish) throw new ServerError("offline", { message: "the connection broke while the answer was being written" });
  }
}

export const chat = new Chat();
