// What the user chose in this browser: colours, shortcuts, presets, what a new chat begins with.
import type { Preset } from "../lib/presets";
import { BUILT_IN } from "../lib/presets";

export type Theme = "system" | "light" | "dark";

interface Saved {
  theme: Theme;
  shortcuts: boolean;
  presets: Preset[];
  model: string;
}

const KEY = "medlar.prefs";

function load(): Partial<Saved> {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? "{}") as Partial<Saved>;
  } catch {
    return {};
  }
}

class Prefs {
  theme = $state<Theme>("system");
  shortcuts = $state(true);
  own = $state<Preset[]>([]);
  model = $state("");

  constructor() {
    const saved = load();
    if (saved.theme === "light" || saved.theme === "dark") this.theme = saved.theme;
    this.shortcuts = saved.shortcuts !== false;
    if (Array.isArray(saved.presets)) this.own = saved.presets.filter((preset) => typeof preset?.name === "string");
    if (typeof saved.model === "string") this.model = saved.model;
    this.apply();
  }

  get presets(): Preset[] {
    return [...BUILT_IN, ...this.own];
  }
  save(): void {
    const saved: Saved = { theme: this.theme, shortcuts: this.shortcuts, presets: this.own, model: this.model };
    localStorage.setItem(KEY, JSON.stringify(saved));
    this.apply();
  }
  // Through system, light and dark.
  nextTheme(): void {
    this.theme = this.theme === "system" ? "light" : this.theme === "light" ? "dark" : "system";
    this.save();
  }
  keepPreset(preset: Preset): void {
    this.own = [...this.own.filter((other) => other.name !== preset.name), { ...preset, own: true }];
    this.save();
  }
  dropPreset(name: string): void {
    this.own = this.own.filter((preset) => preset.name !== name);
    this.save();
  }
  private apply(): void {
    const root = document.documentElement;
    if (this.theme === "system") delete root.dataset.theme;
    else root.dataset.theme = this.theme;
  }
}

export const prefs = new Prefs();
