// What the keyboard shortcuts do.
import { tick } from "svelte";
import { siblings } from "../lib/tree";
import { chat } from "./chat.svelte";
import { prefs } from "./prefs.svelte";
import { ui } from "./ui.svelte";

interface Places {
  field: HTMLTextAreaElement | undefined;
  search: HTMLInputElement | undefined;
}

const messages = (): HTMLElement[] => [...document.querySelectorAll<HTMLElement>("article[data-id]")];
const inFocus = (): HTMLElement | null => document.activeElement?.closest<HTMLElement>("article[data-id]") ?? null;

function step(by: number): void {
  const all = messages();
  const focused = inFocus();
  const at = focused ? all.indexOf(focused) + by : by > 0 ? 0 : all.length - 1;
  const next = all[Math.max(0, Math.min(all.length - 1, at))];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
}

function onMessage(action: string): boolean {
  const message = chat.current.tree.messages[inFocus()?.dataset.id ?? ""];
  if (!message) return false;
  const { previous, next } = siblings(chat.current.tree, message);
  if (action === "copy") void navigator.clipboard.writeText(message.content).then(() => ui.note("Copied"));
  else if (chat.run) return false;
  else if (action === "edit") chat.editing = message.role === "tool" ? null : message.id;
  else if (action === "retry") {
    void chat.retry(message);
    void tick().then(() => messages().at(-1)?.focus()); // the new one takes the other's place
  } else {
    const other = action === "older" ? previous : next;
    if (!other) return true;
    chat.showBranch(other);
    void tick().then(() => document.querySelector<HTMLElement>(`article[data-id="${other}"]`)?.focus());
  }
  return true;
}

function escape(): boolean {
  if (chat.run) chat.stop();
  else if (ui.narrow && ui.sidebar) ui.sidebar = false;
  else if (ui.panel && (ui.narrow || document.activeElement?.closest("#panel"))) ui.panel = false;
  else return false;
  return true;
}

// True where the key was used.
export function act(action: string, { field, search }: Places): boolean {
  switch (action) {
    case "help": ui.help = true; return true;
    case "new": chat.startNew(); void tick().then(() => field?.focus()); return true;
    case "compose": field?.focus(); return true;
    case "history": ui.sidebar = !ui.sidebar; return true;
    case "settings":
    case "models":
    case "machine": ui.toggle(action); return true;
    case "theme": prefs.nextTheme(); return true;
    case "next": step(1); return true;
    case "previous": step(-1); return true;
    case "escape": return escape();
    case "search":
      ui.sidebar = true;
      void tick().then(() => (search ?? document.querySelector<HTMLInputElement>("#history input[type=search]"))?.focus());
      return true;
    default: return onMessage(action);
  }
}
