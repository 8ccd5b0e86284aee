// What was typed and not sent, per conversation, in this browser.

const PREFIX = "medlar.draft.";

export const drafts = {
  get: (id: string): string => localStorage.getItem(PREFIX + id) ?? "",
  set(id: string, text: string): void {
    if (text === "") localStorage.removeItem(PREFIX + id);
    else localStorage.setItem(PREFIX + id, text);
  },
  clear: (id: string): void => localStorage.removeItem(PREFIX + id),
};
