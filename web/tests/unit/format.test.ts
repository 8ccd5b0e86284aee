// Numbers as people read them, presets, shortcuts, errors.
// @vitest-environment jsdom
import { describe, expect, it } from "vitest";
import { factsOf } from "../../src/api/client";
import { bytes, dayGroup, duration, percent, plural, rate, titleOf } from "../../src/lib/format";
import { actionOf, SHORTCUTS, shown } from "../../src/lib/keys";
import { memoryParts, used } from "../../src/lib/memory";
import { BUILT_IN, presetOf } from "../../src/lib/presets";

describe("format", () => {
  it.each([[0, "0 B"], [999, "999 B"], [1000, "1.0 KB"], [98_362_432, "98.4 MB"], [253e6, "253 MB"], [999_600_000, "1.0 GB"], [5.03e9, "5.0 GB"], [2e12, "2.0 TB"], [-1, "–"], [NaN, "–"]])("bytes %d", (n, text) => {
    expect(bytes(n)).toBe(text);
  });
  it.each([[0, "0 ms"], [12.4, "12 ms"], [999, "999 ms"], [1500, "1.5 s"], [59_960, "1 min 0 s"], [125_000, "2 min 5 s"], [7_260_000, "2 h 1 min"]])("duration %d", (ms, text) => {
    expect(duration(ms)).toBe(text);
  });
  it("counts", () => {
    expect(plural(1, "token")).toBe("1 token");
    expect(plural(1234, "token")).toBe("1,234 tokens");
    expect(percent(1, 3)).toBe(33);
    expect(percent(1, 0)).toBe(0);
    expect([rate(9.87), rate(142.6)]).toEqual(["9.9", "143"]);
  });
  it("groups by the calendar's days", () => {
    const now = new Date(2026, 2, 10, 0, 30).getTime();
    expect(dayGroup(now - 20 * 60_000, now)).toBe("Today");
    expect(dayGroup(now - 40 * 60_000, now)).toBe("Yesterday");
    expect(dayGroup(new Date(2026, 2, 5).getTime(), now)).toBe("This week");
    expect(dayGroup(new Date(2026, 1, 20).getTime(), now)).toBe("This month");
    expect(dayGroup(new Date(2025, 11, 24).getTime(), now)).toBe("December 2025");
  });
  it("makes titles", () => {
    expect(titleOf("\n## Plan a *trip*\nmore")).toBe("Plan a *trip*");
    expect(titleOf("")).toBe("New chat");
    expect(titleOf("word ".repeat(30)).length).toBeLessThanOrEqual(61);
  });
});

describe("presets", () => {
  it("are known again by what they set", () => {
    expect(presetOf(BUILT_IN, {}, "any")?.name).toBe("Model's defaults");
    expect(presetOf(BUILT_IN, { seed: 1, temperature: 0, stop: [] }, "")?.name).toBe("Repeatable");
    expect(presetOf(BUILT_IN, { temperature: 0.33 }, "")).toBeUndefined();
  });
});

describe("shortcuts", () => {
  const press = (key: string, target: Element = document.body, fields = {}): string | undefined => {
    let action: string | undefined;
    const listen = (event: Event): void => void (action = actionOf(event as KeyboardEvent, true));
    document.addEventListener("keydown", listen, { once: true });
    target.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, ...fields }));
    return action;
  };
  it("count outside of fields only, except with Ctrl", () => {
    const field = document.body.appendChild(document.createElement("textarea"));
    expect(press("n")).toBe("new");
    expect(press("n", field)).toBeUndefined();
    expect(press("k", field, { ctrlKey: true })).toBe("search");
    expect(press("O", field, { metaKey: true, shiftKey: true })).toBe("new");
    expect(press("Escape", field)).toBe("escape");
    expect(press("n", document.body, { altKey: true })).toBeUndefined();
    expect(press("c", document.body, { ctrlKey: true })).toBeUndefined();
    expect(actionOf(new KeyboardEvent("keydown", { key: "n" }), false)).toBeUndefined();
  });
  it("use each key once", () => {
    const keys = SHORTCUTS.flatMap((shortcut) => shortcut.keys);
    expect(new Set(keys).size).toBe(keys.length);
    expect(shown("mod+shift+o")).toBe("Ctrl+Shift+O");
  });
});

describe("errors", () => {
  it("are read in every form", () => {
    expect(factsOf('{"error":"no"}', 400)).toEqual({ message: "no" });
    expect(factsOf('{"error":{"message":"full","code":"context_length_exceeded","n_ctx":5}}', 400)).toMatchObject({ message: "full", n_ctx: 5 });
    expect(factsOf("<html>bad gateway</html>", 502).message).toContain("bad gateway");
    expect(factsOf("", 500).message).toBe("the server answered 500");
    expect(factsOf("null", 500).message).toBe("null");
  });
});

describe("memory", () => {
  it("counts weights as far as they are in memory", () => {
    const memory = { limit: 100, categories: { weights_mapped: 50, weights_resident: 30, kv: 5, cache: 4, activations: 3, scratch: 2, tables: 0, buffers: 0, other: 1 } };
    expect(used(memory)).toBe(45);
    expect(memoryParts(memory).map((part) => part.bytes)).toEqual([30, 5, 4, 5, 1]);
  });
});
