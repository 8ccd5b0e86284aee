// Pictures of the page in each state, to be looked at: test-results/look/.
import type { Page } from "@playwright/test";
import { ask, expect, lastAnswer, openTab, say, test } from "./fixtures";
import { delta } from "../mock/server";

const ANSWER = `A **prefix tree** keeps the beginnings that prompts share.

## How it works

1. Each *page* of keys and values holds a fixed number of tokens.
2. Two prompts with the same beginning share its pages.
3. The first token that differs starts a new branch.

| prompts | shared | read |
|---|--:|--:|
| first | 0 | 1,500 |
| second | 1,480 | 20 |

\`\`\`python
def longest_prefix(tree, tokens):
    """The number of tokens that are known already."""
    node = tree.root
    for i, token in enumerate(tokens):
        if token not in node.children:  # a new branch
            return i
        node = node.children[token]
    return len(tokens)
\`\`\`

> The rest is *copy on write*: see [the paper](https://example.org).`;

const shot = (page: Page, name: string) => page.screenshot({ path: `test-results/look/${name}.png` });

for (const colorScheme of ["light", "dark"] as const) {
  test.describe(colorScheme, () => {
    test.use({ colorScheme });
    test("wide", async ({ page, server, openPage }) => {
      server.history.set("a", { id: "a", title: "Planning a garden for shade", created: 1, updated: Date.now() - 2 * 86_400_000, tree: { messages: {} } });
      server.history.set("b", { id: "b", title: "Regular expressions for dates", created: 1, updated: Date.now() - 86_400_000, tree: { messages: {} } });
      server.scripts = [
        { chunks: [delta({ reasoning_content: "The user wants to know about prefix trees. " }), delta({ content: ANSWER })], usage: { prompt: 48, cached: 0, answer: 214 } },
        { text: "Because each turn sends the whole conversation again.", usage: { prompt: 310, cached: 262, answer: 31 }, miss: { position: 262, cached: "2026-11-20", given: "2026-11-21" } },
      ];
      await openPage();
      await shot(page, `${colorScheme}-welcome`);
      await ask(page, "What is a prefix tree, and why does a language model server want one?");
      await page.locator("main .scroller").evaluate((element) => element.scrollTo(0, 0));
      await shot(page, `${colorScheme}-chat`);
      await ask(page, "Why does it matter?");
      await lastAnswer(page).getByRole("button", { name: /from cache/ }).click();
      await openTab(page, "Machine");
      await shot(page, `${colorScheme}-machine`);
      server.pulls = [{ status: "pulling", total: 5e9, completed: 1.9e9 }, {}, {}, {}, {}, {}];
      server.pullDelayMs = 400;
      await openTab(page, "Models");
      await page.getByLabel("Pull a model").fill("gemma3:4b");
      await page.keyboard.press("Enter");
      await expect(page.getByText("38 %")).toBeVisible();
      await page.waitForTimeout(500);
      await shot(page, `${colorScheme}-models`);
      await page.keyboard.press("Escape");
      server.scripts = [{ status: 400, error: { message: "the prompt has 9,120 tokens", code: "context_length_exceeded", n_prompt_tokens: 9120, n_ctx: 8192, largest_context: 16384 } }];
      await ask(page, "And with this?");
      await shot(page, `${colorScheme}-full`);
      await page.getByRole("banner").getByRole("button", { name: "Keyboard shortcuts" }).click();
      await shot(page, `${colorScheme}-help`);
    });
    test("phone", async ({ page, server, openPage }) => {
      await page.setViewportSize({ width: 390, height: 780 });
      server.scripts = [{ text: ANSWER }];
      await openPage();
      await shot(page, `${colorScheme}-phone-welcome`);
      await ask(page, "What is a prefix tree?");
      await shot(page, `${colorScheme}-phone-chat`);
      await page.getByRole("button", { name: "History" }).click();
      await shot(page, `${colorScheme}-phone-history`);
      await page.locator(".veil").click({ position: { x: 380, y: 400 } });
      await openTab(page, "Settings");
      await shot(page, `${colorScheme}-phone-settings`);
    });
    test("gone", async ({ page, server, openPage }) => {
      server.scripts = [{ text: ANSWER, breakAfter: 20, delayMs: 5 }];
      await openPage();
      await say(page, "What is a prefix tree?");
      await expect(page.getByText("The server is gone")).toBeVisible();
      await server.stop();
      await expect(page.getByText("The server does not answer.")).toBeVisible({ timeout: 15_000 });
      await shot(page, `${colorScheme}-gone`);
    });
  });
}
