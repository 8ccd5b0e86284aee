// What is known of the server: whether it answers, its models, its memory, downloads in progress.
import { api, ServerError } from "../api/client";
import type { CatalogueModel, Memory, ModelList, Props, PullProgress, StoredModel } from "../api/types";
import { ui } from "./ui.svelte";

export type Status = "unknown" | "ok" | "loading" | "offline" | "key";

export interface Pull {
  name: string;
  status: string;
  total: number;
  completed: number;
  error?: string;
  controller: AbortController;
}

const HEALTH_MS = { ok: 5000, other: 1500 };
const MEMORY_MS = 2000;

class Server {
  status = $state<Status>("unknown");
  reason = $state("");
  models = $state.raw<ModelList["data"]>([]);
  stored = $state.raw<StoredModel[]>([]);
  catalogue = $state.raw<CatalogueModel[]>([]);
  props = $state.raw<Props>({});
  memory = $state.raw<Memory | null>(null);
  listed = $state(false); // the lists above have been read at least once
  pulls = $state<Pull[]>([]);
  moving = $state<Record<string, "load" | "unload">>({});
  // Called each time the server is reached again.
  onReady: (() => void) | undefined;

  start(): void {
    void this.watchHealth();
    void this.watchMemory();
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") void this.checkHealth();
    });
  }

  // What answers when no model is named: the one in memory that was used last, which the server lists first.
  get loaded(): string {
    const present = this.models.filter((model) => model.meta).map((model) => model.id);
    return present.find((id) => this.stored.some((model) => model.name === id)) ?? this.stored.find((model) => model.loaded)?.name ?? present[0] ?? "";
  }
  // Of all that are here. One model may answer to several names; this has one of each.
  get names(): string[] {
    return this.stored.length > 0 ? this.stored.map((model) => model.name) : this.models.slice(0, 1).map((model) => model.id);
  }
  // Is here, and has to be loaded before it can answer.
  canLoad(name: string): boolean {
    return this.stored.some((model) => model.name === name && !model.loaded) && !this.models.some((model) => model.meta && model.id === name);
  }
  // Tokens the context holds, as far as the server says.
  get context(): number | undefined {
    return this.stored.find((model) => model.name === this.loaded)?.context_length ?? this.props.default_generation_settings?.n_ctx ?? this.models[0]?.meta?.n_ctx;
  }

  async checkHealth(): Promise<void> {
    const before = this.status;
    try {
      await api.health(AbortSignal.timeout(8000));
      this.status = "ok";
      this.reason = "";
    } catch (error) {
      const failure = error instanceof ServerError ? error.failure : "offline";
      this.status = failure === "loading" ? "loading" : failure === "key" ? "key" : "offline";
      this.reason = error instanceof ServerError ? error.message : "the server does not answer";
    }
    if (this.status === "ok" && before !== "ok") {
      await this.refresh();
      this.onReady?.();
    }
  }
  async refresh(): Promise<void> {
    const or = async <T>(answer: Promise<T>, before: T): Promise<T> => answer.catch((error: unknown) => {
      if (error instanceof ServerError && error.failure === "key") ui.key = true;
      return before;
    });
    let kept: { data: StoredModel[]; catalogue: CatalogueModel[] };
    [this.models, kept, this.props] = await Promise.all([
      or(api.models().then((list) => list.data), this.models),
      or(api.stored(), { data: this.stored, catalogue: this.catalogue }),
      or(api.props(), {}),
    ]);
    [this.stored, this.catalogue] = [kept.data, kept.catalogue];
    this.listed = true;
    void this.readMemory();
  }

  // False where it did not work; the page has told why.
  async move(name: string, how: "load" | "unload"): Promise<boolean> {
    this.moving[name] = how;
    let moved = false;
    try {
      await (how === "load" ? api.load(name) : api.unload(name));
      ui.note(how === "load" ? `${name} is loaded` : `${name} is unloaded; its memory is free`);
      moved = true;
    } catch (error) {
      ui.note((error as Error).message, { bad: true });
    }
    delete this.moving[name];
    await this.refresh();
    return moved;
  }

  async pull(name: string): Promise<void> {
    this.pulls = [...this.pulls.filter((pull) => pull.name !== name), { name, status: "starting", total: 0, completed: 0, controller: new AbortController() }];
    const pull = this.pulls.at(-1) as Pull;
    try {
      for await (const step of api.pull(name, pull.controller.signal)) this.addProgress(pull, step);
      if (pull.error === undefined) {
        this.pulls = this.pulls.filter((other) => other !== pull);
        ui.note(`${name} is here`);
      }
    } catch (error) {
      if (pull.controller.signal.aborted) this.pulls = this.pulls.filter((other) => other !== pull);
      else pull.error = (error as Error).message;
    }
    await this.refresh();
  }
  private addProgress(pull: Pull, step: PullProgress): void {
    if (step.error !== undefined) pull.error = step.error;
    pull.status = step.status ?? pull.status;
    pull.total = step.total ?? pull.total;
    pull.completed = step.completed ?? pull.completed;
  }
  cancelPull(pull: Pull): void {
    pull.controller.abort();
    this.pulls = this.pulls.filter((other) => other !== pull);
  }

  private async watchHealth(): Promise<void> {
    for (;;) {
      await this.checkHealth();
      await pause(this.status === "ok" ? HEALTH_MS.ok : HEALTH_MS.other);
    }
  }
  private async watchMemory(): Promise<void> {
    for (;;) {
      await pause(MEMORY_MS);
      if (document.visibilityState === "visible" && this.status === "ok") await this.readMemory();
    }
  }
  private async readMemory(): Promise<void> {
    const before = this.memory?.categories.weights_mapped;
    this.memory = await api.memory().catch(() => null);
    const now = this.memory?.categories.weights_mapped;
    // The server loads models when they are asked, and unloads them when nobody does.
    if (before !== undefined && now !== undefined && before !== now) void this.refresh();
  }
}

// Throws when the signal aborts first.
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => resolve(), { once: true });
  });
  signal?.throwIfAborted();
}

export const server = new Server();
