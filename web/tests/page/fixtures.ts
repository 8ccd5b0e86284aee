// Each test has a server and a page of its own; a request that leaves the machine, a script error or a breach of
// the page's policy fails it.
import { test as base, expect, type Page } from "@playwright/test";
import { fileURLToPath } from "node:url";
import { MockServer } from "../mock/server";

const DIST = process.env.MEDLAR_PAGE_DIST ?? fileURLToPath(new URL("../../dist", import.meta.url));

// Hands over how to open the page, and fails where anything it did was wrong.
export async function watched(page: Page, url: () => string, use: (open: (path?: string) => Promise<void>) => Promise<void>): Promise<void> {
  const wrong: string[] = [];
  page.on("pageerror", (error) => wrong.push(`script error: ${error.message}`));
  page.on("dialog", (dialog) => {
    wrong.push(`a dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on("console", (message) => {
    if (/Content Security Policy|Refused to/.test(message.text())) wrong.push(message.text());
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(url()) && !/^(?:blob|data|about):/.test(request.url())) wrong.push(`a request to ${request.url()}`);
  });
  await use(async (path = "/") => {
    await page.goto(url() + path);
    await expect(page.getByRole("textbox", { name: "Message" })).toBeVisible();
  });
  expect(wrong).toEqual([]);
}

export const test = base.extend<{ server: MockServer; openPage: (path?: string) => Promise<void> }>({
  server: async ({}, use) => {
    const server = new MockServer(DIST);
    await server.start();
    await use(server);
    await server.stop();
  },
  openPage: async ({ page, server }, use) => {
    await watched(page, () => server.url, use);
  },
});
export { expect };

export async function say(page: Page, text: string): Promise<void> {
  await page.getByRole("textbox", { name: "Message" }).fill(text);
  await page.keyboard.press("Enter");
}
// Waits until nothing is being written.
export async function answered(page: Page): Promise<void> {
  await expect(page.getByRole("button", { name: "Send", exact: true })).toBeVisible();
}
export async function ask(page: Page, text: string): Promise<void> {
  await say(page, text);
  await answered(page);
}
export const answers = (page: Page) => page.locator("article.assistant");
export const lastAnswer = (page: Page) => answers(page).last();

// The panel's tab, opened if it is not.
export async function openTab(page: Page, name: "Settings" | "Models" | "Machine"): Promise<void> {
  const tab = page.getByRole("tab", { name });
  if (!(await tab.isVisible())) await page.getByRole("banner").getByRole("button", { name, exact: true }).click();
  await tab.click();
}
