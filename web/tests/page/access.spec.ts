// Everyone can use the page: axe, keyboard, focus, screen readers, phones.
import AxeBuilder from "@axe-core/playwright";
import type { Page } from "@playwright/test";
import { answered, ask, expect, lastAnswer, openTab, say, test } from "./fixtures";
import { delta } from "../mock/server";

const RICH = "# Title\n\nText with `code` and a [link](https://example.org).\n\n- [x] done\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n\n```python\ndef f():  # why\n    return \"s\" + str(1)\n```\n\n> quote";

// What is dark differs in its colours only.
async function expectClean(page: Page, where: string, dark: boolean): Promise<void> {
  await page.waitForTimeout(50); // colours fade in: axe would measure them half way
  const axe = new AxeBuilder({ page });
  const { violations } = await (dark ? axe.withRules("color-contrast") : axe.withTags(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"])).analyze();
  const found = violations.map(({ id, impact, nodes }) => `${where}: ${impact} ${id}: ${nodes.map((node) => node.target.join(" ")).slice(0, 3).join(", ")}`);
  expect(found).toEqual([]);
}

for (const colorScheme of ["light", "dark"] as const) {
  for (const [name, viewport] of [["desktop", { width: 1360, height: 850 }], ["phone", { width: 375, height: 760 }]] as const) {
    test(`axe finds nothing: ${colorScheme}, ${name}`, async ({ page, server, openPage }) => {
      test.slow(); // axe takes a second for each state, more on a busy machine
      const dark = colorScheme === "dark";
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      await page.setViewportSize(viewport);
      server.scripts = [
        { chunks: [delta({ reasoning_content: "Thinking." }), delta({ content: RICH })], miss: { position: 3, cached: "a", given: "b" } },
        { chunks: [delta({ tool_calls: [{ index: 0, id: "c", function: { name: "weather", arguments: "{}" } }] })], finish: "tool_calls" },
        { status: 400, error: { message: "full", code: "context_length_exceeded", n_prompt_tokens: 9000, n_ctx: 8192, largest_context: 16384 } },
      ];
      await openPage();
      await expectClean(page, "welcome", dark);
      await ask(page, "Show everything");
      await lastAnswer(page).getByRole("button", { name: /Thought/ }).click();
      await lastAnswer(page).getByRole("button", { name: /from cache/ }).click();
      await ask(page, "Call");
      await lastAnswer(page).getByRole("button", { name: /Calls weather/ }).click();
      await expectClean(page, "chat", dark);
      await ask(page, "Fail");
      await expectClean(page, "failure", dark);
      server.pulls = Array(100).fill({ status: "pulling", total: 100, completed: 20 });
      for (const tab of ["Settings", "Models", "Machine"] as const) {
        await openTab(page, tab);
        if (tab === "Models") {
          await page.getByLabel("Pull a model").fill("x");
          await page.keyboard.press("Enter");
          await page.getByRole("button", { name: /^smollm2:135m/ }).click();
        }
        await expectClean(page, tab, dark);
      }
      await page.getByRole("button", { name: "Close panel" }).click();
      if (name === "phone") await page.getByRole("button", { name: "History" }).click();
      await expectClean(page, "history", dark);
      if (name === "desktop") {
        await page.getByRole("button", { name: "Keyboard shortcuts" }).click();
        await expectClean(page, "help", dark);
      }
    });
  }
}

test("nothing is wider than a phone", async ({ page, server, openPage }) => {
  await page.setViewportSize({ width: 340, height: 700 });
  server.scripts = [{ text: `${RICH}\n\n${"longword".repeat(30)}\n\n\`\`\`\n${"x".repeat(300)}\n\`\`\`` }];
  await openPage();
  await ask(page, "y".repeat(200));
  const width = (): Promise<number> => page.evaluate(() => Math.max(...[".page", "header", "main", ".content", "article"].flatMap((name) => [...document.querySelectorAll(name)].map((element) => element.getBoundingClientRect().right))));
  expect(await width()).toBeLessThanOrEqual(340);
  await page.getByRole("button", { name: "History" }).click();
  await expect(page.getByRole("navigation", { name: "History" })).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(page.getByRole("navigation", { name: "History" })).toHaveCount(0);
});

test("all is done from the keyboard", async ({ page, server, openPage }) => {
  server.scripts = [{ text: "First." }, { text: "Second." }, { text: "Third." }];
  await openPage();
  await ask(page, "Hello");
  await page.keyboard.press("Shift+Tab"); // out of the field, where letters are text
  await page.keyboard.press("?");
  await expect(page.getByRole("dialog", { name: "Keyboard shortcuts" })).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(page.getByRole("dialog")).toHaveCount(0);
  await page.keyboard.press("k");
  await expect(page.locator("article.user")).toBeFocused();
  await page.keyboard.press("j");
  await expect(lastAnswer(page)).toBeFocused();
  await page.keyboard.press("r");
  await expect(lastAnswer(page)).toContainText("2/2");
  await expect(lastAnswer(page)).toBeFocused();
  await answered(page); // versions are not changed while one is being written
  await page.keyboard.press("[");
  await expect(lastAnswer(page)).toContainText("First.");
  await expect(lastAnswer(page)).toBeFocused();
  await page.keyboard.press("]");
  await expect(lastAnswer(page)).toContainText("Second.");
  await page.keyboard.press("y");
  await expect.poll(() => page.evaluate(() => navigator.clipboard.readText())).toBe("Second.");
  await page.keyboard.press("k");
  await page.keyboard.press("e");
  await expect(page.getByRole("textbox", { name: "Edit the message" })).toBeFocused();
  await page.keyboard.press("Escape");
  await page.locator("article.user").focus();
  await page.keyboard.press("m");
  await expect(page.getByRole("tab", { name: "Models" })).toHaveAttribute("aria-selected", "true");
  await page.keyboard.press("t");
  await expect(page.locator("html")).toHaveAttribute("data-theme", "light");
  await page.keyboard.press("t");
  await expect(page.locator("html")).toHaveAttribute("data-theme", "dark");
  await page.keyboard.press("n");
  await expect(page.getByRole("textbox", { name: "Message" })).toBeFocused();
  await expect(page.getByRole("heading", { name: "What shall we talk about?" })).toBeVisible();
});

test("single keys can be turned off", async ({ page, openPage }) => {
  await openPage();
  await page.getByRole("button", { name: "Keyboard shortcuts" }).click();
  await page.getByLabel("Single keys work as shortcuts").uncheck();
  await page.keyboard.press("Escape");
  await page.keyboard.press("t");
  await expect(page.locator("html")).not.toHaveAttribute("data-theme");
});

test("focus goes from the bar through the history and the chat to the panel", async ({ page, openPage }) => {
  await openPage();
  await ask(page, "Hello");
  await openTab(page, "Settings");
  await page.getByRole("link", { name: "Go to the message field" }).focus();
  const stops = ["skip"];
  for (let i = 0; i < 40; ++i) {
    await page.keyboard.press("Tab");
    stops.push(await page.evaluate(() => {
      const at = document.activeElement;
      return at?.closest("header") ? "bar" : at?.closest("nav") ? "history" : at?.closest("main") ? "chat" : at?.closest("aside") ? "panel" : at?.classList.contains("skip") ? "skip" : "";
    }));
  }
  expect(stops.filter((stop, i) => stop !== stops[i - 1]).slice(0, 5)).toEqual(["skip", "bar", "history", "chat", "panel"]);
});

test("an answer is spoken block by block, not token by token", async ({ page, server, openPage }) => {
  server.scripts = [{ text: "The first paragraph.\n\n```js\nlet a;\n```\n\nThe last one.", delayMs: 40 }];
  await openPage();
  await page.evaluate(() => {
    const said: string[] = [];
    Object.assign(window, { said });
    new MutationObserver(() => {
      for (const { textContent } of document.querySelectorAll("[data-spoken] p")) if (!said.includes(textContent ?? "")) said.push(textContent ?? "");
    }).observe(document.querySelector("[data-spoken]") as Node, { childList: true, subtree: true, characterData: true });
  });
  await ask(page, "Speak");
  await expect(page.locator("[data-spoken]")).toContainText("complete");
  const said = await page.evaluate(() => (window as unknown as { said: string[] }).said);
  expect(said).toEqual(["The model is answering.", "The first paragraph.", "Code block in js, 1 line.", "The last one.", "The answer is complete, 8 tokens."]);
  await expect(page.locator("main [aria-live]")).toHaveCount(0);
});

test("the page says who it is in both themes without leaving the machine", async ({ page, server, openPage }) => {
  await openPage();
  await say(page, "Hello");
  await expect(lastAnswer(page)).toContainText("How can I help?");
  const kinds = new Set(server.requests.map((request) => request.split(" ")[1]?.split("/")[1]));
  expect([...kinds].every((kind) => ["", "assets", "icon.svg", "health", "props", "v1", "api", "medlar", "tokenize"].includes(kind ?? ""))).toBe(true);
});
