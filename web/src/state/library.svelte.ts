// The history: kept by the server; in this browser while the server cannot, and for good where it has no history.
import { api, ServerError } from "../api/client";
import type { ConversationHead } from "../api/types";
import { head, snippet, textOf, type Conversation } from "../lib/conversation";
import { LocalStore } from "../lib/local_store";
import { readConversation } from "../lib/transfer";
import { merge } from "../lib/tree";

class Library {
  heads = $state.raw<ConversationHead[]>([]);
  search = $state("");
  listed = $state(false);
  place = $state<"server" | "browser">("server");
  private readonly local = new LocalStore();
  private readonly saving = new Map<string, Promise<void>>();
  private asked = 0;

  // Reads the list again. Of several answers only the one asked for last counts.
  async refresh(): Promise<void> {
    const turn = ++this.asked;
    const search = this.search.trim();
    const kept = await this.keptHeads(search);
    const mine = await this.localHeads(search);
    if (turn !== this.asked) return;
    const known = new Set(mine.map(({ id }) => id));
    this.heads = [...mine, ...kept.filter(({ id }) => !known.has(id))].sort((a, b) => b.updated - a.updated);
    this.listed = true;
  }
  private async keptHeads(search: string): Promise<ConversationHead[]> {
    try {
      const heads = await api.history.list(search);
      this.place = "server";
      return heads;
    } catch (error) {
      if (error instanceof ServerError && error.failure === "not_found") this.place = "browser";
      else if (this.place === "server" && search === "") return this.heads; // gone for a moment: the list stays
      return [];
    }
  }
  private async localHeads(search: string): Promise<ConversationHead[]> {
    const all = await this.local.all();
    if (search === "") return all.map(head);
    return all.flatMap((conversation) => {
      const found = snippet(textOf(conversation), search);
      return found === undefined ? [] : [{ ...head(conversation), snippet: found }];
    });
  }

  async get(id: string): Promise<Conversation | undefined> {
    const local = await this.local.get(id);
    if (local) return readConversation(local);
    try {
      return readConversation(await api.history.get(id));
    } catch (error) {
      if (error instanceof ServerError && error.failure === "not_found") return undefined;
      throw error;
    }
  }

  // Into this browser at once, so that closing the page loses nothing; from there to the server, one save of a
  // conversation at a time. Of those that wait only the newest is sent.
  save(conversation: Conversation): Promise<void> {
    const { id } = conversation;
    const kept = this.local.put(conversation).catch(() => undefined);
    const before = this.saving.get(id) ?? Promise.resolve();
    const mine: Promise<void> = before.then(() => kept).then(() => this.write(conversation, () => this.saving.get(id) === mine)).catch(() => undefined);
    this.saving.set(id, mine);
    return mine.then(() => {
      if (this.saving.get(id) === mine) this.saving.delete(id);
    });
  }
  private async write(conversation: Conversation, newest: () => boolean): Promise<void> {
    if (!newest()) return;
    if (this.place === "server" && (await this.send(conversation)) && newest()) await this.local.remove(conversation.id);
    if (this.search === "") this.heads = [head(conversation), ...this.heads.filter(({ id }) => id !== conversation.id)].sort((a, b) => b.updated - a.updated);
  }
  // False where the server did not take it.
  private async send(conversation: Conversation): Promise<boolean> {
    for (let attempt = 0; attempt < 3; ++attempt) {
      try {
        conversation.revision = (await api.history.put(conversation, conversation.revision ?? 0)).revision;
        return true;
      } catch (error) {
        const failure = error instanceof ServerError ? error.failure : "offline";
        if (failure === "not_found") this.place = "browser";
        if (failure !== "conflict") return false;
        await this.takeOver(conversation);
      }
    }
    return false;
  }
  // Another window wrote it meanwhile, or deleted it.
  private async takeOver(conversation: Conversation): Promise<void> {
    const theirs = await api.history.get(conversation.id).then(readConversation).catch(() => undefined);
    conversation.revision = theirs?.revision ?? 0;
    if (theirs) conversation.tree = merge(conversation.tree, theirs.tree);
  }

  // Hands the server what it missed.
  async flush(): Promise<void> {
    await this.refresh();
    if (this.place !== "server") return;
    for (const conversation of await this.local.all()) await this.save(readConversation(conversation));
  }

  async remove(id: string): Promise<void> {
    await this.saving.get(id);
    if (this.place === "server")
      await api.history.remove(id).catch((error: unknown) => {
        if (!(error instanceof ServerError && error.failure === "not_found")) throw error;
      });
    await this.local.remove(id);
    this.heads = this.heads.filter((other) => other.id !== id);
  }
}

export const library = new Library();
