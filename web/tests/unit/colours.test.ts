// The dark colours stand twice in the style sheet, and agree.
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";

it("dark is the same whether the system or the user chose it", () => {
  const css = readFileSync(new URL("../../src/styles/tokens.css", import.meta.url), "utf-8");
  const colours = (selector: string): string[] => {
    const block = (css.split(`${selector} {`)[1] ?? "").split("}")[0] ?? "";
    return block.split("\n").map((line) => line.trim()).filter((line) => line.startsWith("--"));
  };
  expect(colours(':root[data-theme="dark"]')).toEqual(colours(':root:not([data-theme="light"])'));
  expect(colours(':root[data-theme="dark"]').length).toBeGreaterThan(20);
});
