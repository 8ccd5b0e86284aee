// Each test has a real server with two tiny models, the first of them loaded, and a page of its own.
import { type Page, test as base } from "@playwright/test";
import { watched } from "../page/fixtures";
import { existsSync } from "node:fs";
import { Medlar, PROGRAM } from "./server";

export const LLAMA = "hf.co/test/llama:F16";
export const QWEN = "hf.co/test/qwen3:F16";

// A model with random weights ends when it likes to, even before its first word; here it goes on to a limit.
async function neverEnding(page: Page): Promise<void> {
  await page.route("**/v1/chat/completions", async (route) => {
    const body = route.request().postDataJSON() as object;
    await route.continue({ postData: JSON.stringify({ ...body, ignore_eos: true }) });
  });
}

export const test = base.extend<{ medlar: Medlar; openPage: (path?: string) => Promise<void> }>({
  medlar: async ({}, use) => {
    base.skip(!existsSync(PROGRAM), `${PROGRAM} is not built`);
    const medlar = new Medlar();
    await medlar.begin();
    try {
      await medlar.pull(LLAMA);
      await medlar.pull(QWEN);
      await medlar.start(LLAMA, "-c", "4096");
      await use(medlar);
    } finally {
      await medlar.end();
    }
  },
  openPage: async ({ page, medlar }, use) => {
    await neverEnding(page);
    await watched(page, () => medlar.url, use);
  },
});
export { answered, answers, ask, expect, lastAnswer, openTab, say } from "../page/fixtures";
