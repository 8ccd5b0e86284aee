// Conversations in this browser: those the server has not taken yet, or all where it keeps none.
import type { Conversation } from "./conversation";

const DATABASE = "medlar";
const STORE = "conversations";

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("the browser's storage failed"));
  });
}

function open(): Promise<IDBDatabase> {
  const request = indexedDB.open(DATABASE, 1);
  request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "id" });
  return done(request);
}

export class LocalStore {
  // Private windows may refuse IndexedDB; then things last as long as the page.
  private readonly memory = new Map<string, Conversation>();
  private readonly database = open().catch(() => null);

  private async use<T>(mode: IDBTransactionMode, work: (store: IDBObjectStore) => IDBRequest<T>): Promise<T | null> {
    const database = await this.database;
    return database ? done(work(database.transaction(STORE, mode).objectStore(STORE))) : null;
  }
  async all(): Promise<Conversation[]> {
    const kept = (await this.use("readonly", (store) => store.getAll())) as Conversation[] | null;
    return kept ?? [...this.memory.values()];
  }
  async get(id: string): Promise<Conversation | undefined> {
    const kept = (await this.use("readonly", (store) => store.get(id))) as Conversation | null | undefined;
    return kept ?? this.memory.get(id);
  }
  async put(conversation: Conversation): Promise<void> {
    const plain = JSON.parse(JSON.stringify(conversation)) as Conversation;
    if (!(await this.database)) this.memory.set(plain.id, plain);
    await this.use("readwrite", (store) => store.put(plain));
  }
  async remove(id: string): Promise<void> {
    this.memory.delete(id);
    await this.use("readwrite", (store) => store.delete(id));
  }
}
