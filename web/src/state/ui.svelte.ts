// What is open on the page, short notes to the user, and what screen readers are told.

export type Tab = "settings" | "models" | "machine";

export interface Note {
  id: number;
  text: string;
  bad: boolean;
  action?: { label: string; run: () => void };
}

class Ui {
  tab = $state<Tab>("settings");
  panel = $state(matchMedia("(min-width: 1200px)").matches);
  sidebar = $state(matchMedia("(min-width: 800px)").matches);
  help = $state(false);
  key = $state(false); // asking for the API key
  notes = $state<Note[]>([]);
  spoken = $state.raw<{ id: number; text: string }[]>([]);
  narrow = $state(matchMedia("(max-width: 799px)").matches);
  private count = 0;

  constructor() {
    matchMedia("(max-width: 799px)").addEventListener("change", (event) => {
      this.narrow = event.matches;
      this.sidebar = !event.matches;
      if (event.matches) this.panel = false;
    });
  }

  toggle(tab: Tab): void {
    this.panel = !(this.panel && this.tab === tab);
    this.tab = tab;
    if (this.panel && this.narrow) this.sidebar = false;
  }
  note(text: string, options: { bad?: boolean; action?: Note["action"] } = {}): void {
    const id = ++this.count;
    this.notes = [...this.notes.slice(-2), { id, text, bad: options.bad ?? false, ...(options.action && { action: options.action }) }];
    setTimeout(() => this.dismiss(id), options.bad ? 12_000 : 5_000);
  }
  dismiss(id: number): void {
    this.notes = this.notes.filter((note) => note.id !== id);
  }
  // A few lines are kept, so that a reader that is behind loses none.
  say(text: string): void {
    if (text !== "") this.spoken = [...this.spoken.slice(-4), { id: ++this.count, text }];
  }
}

export const ui = new Ui();
