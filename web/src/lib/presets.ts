// Named sampling settings: a few that come with the page, and the user's own.
import type { Sampling } from "../api/types";

export interface Preset {
  name: string;
  system?: string;
  sampling: Sampling;
  own?: boolean;
}

export const BUILT_IN: readonly Preset[] = [
  { name: "Model's defaults", sampling: {} },
  { name: "Precise", sampling: { temperature: 0.2, top_p: 0.9, min_p: 0.05 } },
  { name: "Balanced", sampling: { temperature: 0.7, top_p: 0.95, min_p: 0.05 } },
  { name: "Creative", sampling: { temperature: 1.1, top_p: 1, min_p: 0.02 } },
  { name: "Repeatable", sampling: { temperature: 0, seed: 1 } },
];

export interface Knob {
  key: Exclude<keyof Sampling, "stop">;
  label: string;
  about: string;
  min: number;
  max: number;
  step: number;
  slider?: boolean;
}

// The ranges the server accepts may be wider; these are the useful ones, and a number field takes any.
export const KNOBS: readonly Knob[] = [
  { key: "temperature", label: "Temperature", about: "0 always takes the likeliest token", min: 0, max: 2, step: 0.05, slider: true },
  { key: "top_p", label: "Top p", about: "Choose among the tokens that make up this probability", min: 0, max: 1, step: 0.01, slider: true },
  { key: "min_p", label: "Min p", about: "Drop tokens less likely than this times the likeliest", min: 0, max: 1, step: 0.01, slider: true },
  { key: "top_k", label: "Top k", about: "Choose among the k likeliest tokens; 0 for all", min: 0, max: 1000, step: 1 },
  { key: "repeat_penalty", label: "Repeat penalty", about: "Make what was just said less likely; 1 for none", min: 0.5, max: 2, step: 0.05 },
  { key: "presence_penalty", label: "Presence penalty", about: "Taken from tokens that were said", min: -2, max: 2, step: 0.1 },
  { key: "frequency_penalty", label: "Frequency penalty", about: "Taken each time a token was said", min: -2, max: 2, step: 0.1 },
  { key: "max_tokens", label: "Longest answer", about: "In tokens; empty for no limit", min: 1, max: 1_000_000, step: 1 },
  { key: "seed", label: "Seed", about: "The same seed gives the same text", min: 0, max: 2 ** 31 - 1, step: 1 },
];

const same = (a: Sampling, b: Sampling): boolean => JSON.stringify(normal(a)) === JSON.stringify(normal(b));
const normal = (sampling: Sampling): [string, unknown][] =>
  Object.entries(sampling).filter(([, value]) => value !== undefined && !(Array.isArray(value) && value.length === 0)).sort();

// What these settings are called; undefined if nothing has them.
export function presetOf(presets: readonly Preset[], sampling: Sampling, system: string): Preset | undefined {
  return presets.find((preset) => same(preset.sampling, sampling) && (preset.system === undefined || preset.system === system));
}
