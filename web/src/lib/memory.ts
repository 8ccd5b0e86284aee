// The memory ledger as the parts of a bar.
import type { Memory } from "../api/types";

export interface Part {
  key: "weights" | "kv" | "cache" | "scratch" | "other";
  label: string;
  bytes: number;
  about: string;
}

// Weights count as far as they are in memory now: mapped pages that are not cost nothing.
export function memoryParts({ categories }: Memory): Part[] {
  const { weights_resident, kv, cache, activations, scratch, tables, buffers, other } = categories;
  return [
    { key: "weights", label: "Weights", bytes: weights_resident, about: "pages of model files; the system may drop them and read them again" },
    { key: "kv", label: "KV", bytes: kv, about: "what the models remember of texts in work" },
    { key: "cache", label: "Prompt cache", bytes: cache, about: "prefixes kept for the next message" },
    { key: "scratch", label: "Scratch", bytes: activations + scratch, about: "room to calculate in" },
    { key: "other", label: "Other", bytes: tables + buffers + other, about: "the program itself, tokenizers, and requests on their way" },
  ];
}

export const used = (memory: Memory): number => memoryParts(memory).reduce((sum, part) => sum + part.bytes, 0);
