// The keyboard shortcuts: one list for the handler and for the help.

export interface Shortcut {
  keys: string[]; // as in KeyboardEvent.key; "mod+" is Ctrl or Command
  about: string;
  group: "Anywhere" | "Message field" | "A message in focus";
  action?: string;
}

export const SHORTCUTS: readonly Shortcut[] = [
  { keys: ["?"], about: "Show this list", group: "Anywhere", action: "help" },
  { keys: ["n", "mod+shift+o"], about: "New chat", group: "Anywhere", action: "new" },
  { keys: ["/", "mod+k"], about: "Search the history", group: "Anywhere", action: "search" },
  { keys: ["c"], about: "Write a message", group: "Anywhere", action: "compose" },
  { keys: ["h"], about: "Show or hide the history", group: "Anywhere", action: "history" },
  { keys: ["s"], about: "Settings of this chat", group: "Anywhere", action: "settings" },
  { keys: ["m"], about: "Models", group: "Anywhere", action: "models" },
  { keys: ["p"], about: "Memory and speed", group: "Anywhere", action: "machine" },
  { keys: ["t"], about: "Colours: system, light, dark", group: "Anywhere", action: "theme" },
  { keys: ["j"], about: "Next message", group: "Anywhere", action: "next" },
  { keys: ["k"], about: "Previous message", group: "Anywhere", action: "previous" },
  { keys: ["Escape"], about: "Stop the answer, or close what is open", group: "Anywhere", action: "escape" },
  { keys: ["Enter"], about: "Send", group: "Message field" },
  { keys: ["Shift+Enter"], about: "New line", group: "Message field" },
  { keys: ["ArrowUp"], about: "Edit the last message, while the field is empty", group: "Message field" },
  { keys: ["e"], about: "Edit", group: "A message in focus", action: "edit" },
  { keys: ["r"], about: "Retry", group: "A message in focus", action: "retry" },
  { keys: ["y"], about: "Copy", group: "A message in focus", action: "copy" },
  { keys: ["["], about: "Previous version", group: "A message in focus", action: "older" },
  { keys: ["]"], about: "Next version", group: "A message in focus", action: "newer" },
];

export function shown(key: string): string {
  return key.replace("mod+", "Ctrl+").replace("shift+", "Shift+").replace("Arrow", "").replace(/^Escape$/, "Esc").replace(/\+([a-z])$/, (_, letter: string) => `+${letter.toUpperCase()}`);
}

const isField = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement && (target.isContentEditable || /^(?:INPUT|TEXTAREA|SELECT)$/.test(target.tagName));

// What the key means here; undefined: nothing of ours. Single keys only count outside of fields, and can be off.
export function actionOf(event: KeyboardEvent, single: boolean): string | undefined {
  const mod = event.ctrlKey || event.metaKey;
  if (event.altKey || event.isComposing) return undefined;
  const name = mod ? `mod+${event.shiftKey ? "shift+" : ""}${event.key.toLowerCase()}` : event.key;
  const found = SHORTCUTS.find((shortcut) => shortcut.action && shortcut.keys.includes(name));
  if (!found?.action) return undefined;
  if (mod || name === "Escape") return found.action;
  return single && !isField(event.target) ? found.action : undefined;
}
