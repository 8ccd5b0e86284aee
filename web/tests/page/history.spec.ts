// The history: kept by the server or the browser, searched, exported, imported.
import { readFile } from "node:fs/promises";
import { answered, ask, expect, lastAnswer, test } from "./fixtures";

test("conversations are kept by the server and opened again", async ({ page, server, openPage }) => {
  await openPage();
  await ask(page, "Tell me of figs");
  await expect.poll(() => JSON.stringify([...server.history.values()])).toContain("How can I help?");
  expect([...server.history.values()].map(({ title }) => title)).toEqual(["Tell me of figs"]);
  await page.reload();
  await expect(lastAnswer(page)).toContainText("How can I help?");
  await page.getByRole("button", { name: "New chat" }).click();
  await expect(page.getByRole("heading", { name: "What shall we talk about?" })).toBeVisible();
  await page.goBack();
  await expect(lastAnswer(page)).toContainText("How can I help?");
});

test("an answer outlives a page that is closed before the server has it", async ({ page, server, openPage }) => {
  await openPage();
  await ask(page, "Hello");
  await expect(lastAnswer(page)).toContainText("How can I help?");
  server.hasHistory = false;
  await ask(page, "Again");
  await page.reload();
  await expect(page.locator("article.user").last()).toContainText("Again");
  await expect(lastAnswer(page)).toContainText("How can I help?");
});

test("history is searched", async ({ page, server, openPage }) => {
  server.scripts = [{ text: "Quinces are hard." }, { text: "Pears are soft." }];
  await openPage();
  await ask(page, "Quinces");
  await page.getByRole("button", { name: "New chat" }).click();
  await ask(page, "Pears");
  await page.keyboard.press("Control+k");
  await expect(page.getByRole("searchbox")).toBeFocused();
  await page.keyboard.type("hard");
  const rows = page.getByRole("navigation", { name: "History" }).getByRole("listitem");
  await expect(rows).toHaveCount(1);
  await expect(rows).toContainText("Quinces are hard.");
  await page.getByRole("searchbox").fill("nothing like it");
  await expect(page.getByText("Nothing says “nothing like it”.")).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(rows).toHaveCount(2);
});

test("a conversation is renamed, deleted, and the deletion undone", async ({ page, server, openPage }) => {
  await openPage();
  await ask(page, "Old name");
  await page.getByRole("button", { name: "Rename Old name" }).click();
  await page.getByLabel("Title").fill("New name");
  await page.keyboard.press("Enter");
  await expect.poll(() => [...server.history.values()].map(({ title }) => title)).toEqual(["New name"]);
  await page.getByRole("button", { name: "Delete New name" }).click();
  await expect(page.getByRole("heading", { name: "What shall we talk about?" })).toBeVisible();
  expect(server.history.size).toBe(0);
  await page.getByRole("button", { name: "Undo" }).click();
  await page.getByRole("button", { name: "New name", exact: true }).click();
  await expect(lastAnswer(page)).toContainText("How can I help?");
});

test("history is exported and imported with its branches", async ({ page, server, openPage }) => {
  server.scripts = [{ text: "One." }, { text: "Two." }];
  await openPage();
  await ask(page, "Branches");
  await lastAnswer(page).getByRole("button", { name: "Retry" }).click();
  await expect(lastAnswer(page)).toContainText("Two.");
  await answered(page);
  const saved = page.waitForEvent("download");
  await page.getByRole("button", { name: "Export all" }).click();
  const file = await (await saved).path();
  expect(JSON.parse(await readFile(file, "utf-8"))).toMatchObject({ format: "medlar-conversations", version: 1, conversations: [{ title: "Branches" }] });
  const single = page.waitForEvent("download");
  await page.getByRole("button", { name: "Export Branches" }).click();
  expect((await single).suggestedFilename()).toBe("Branches.json");

  const importer = page.locator("input[data-import]");
  await importer.setInputFiles(file);
  await expect(page.getByText("Nothing new in this file")).toBeVisible();
  await page.getByRole("button", { name: "Delete Branches" }).click();
  await importer.setInputFiles(file);
  await expect(page.getByText("1 conversation imported")).toBeVisible();
  await page.getByRole("button", { name: "Branches", exact: true }).click();
  await expect(lastAnswer(page)).toContainText("2/2");
  await importer.setInputFiles({ name: "x.json", mimeType: "application/json", buffer: Buffer.from('{"a":1}') });
  await expect(page.getByText("Not imported: the file was not exported from this page.")).toBeVisible();
});

test("a server without history leaves it to the browser", async ({ page, server, openPage }) => {
  server.hasHistory = false;
  await openPage();
  await ask(page, "Keep me");
  await expect(page.getByText("Kept in this browser.")).toBeVisible();
  await page.reload();
  await expect(lastAnswer(page)).toContainText("How can I help?");
  // It goes to the server as soon as that keeps one.
  server.hasHistory = true;
  await page.reload();
  await expect.poll(() => [...server.history.values()].map(({ title }) => title)).toEqual(["Keep me"]);
  await expect(page.getByText("Kept in this browser.")).toHaveCount(0);
});

test("what was said while the server was gone is kept, and handed over", async ({ page, server, openPage }) => {
  await openPage();
  await ask(page, "Before");
  await server.stop();
  await ask(page, "While gone");
  await expect(page.getByRole("group", { name: "The server is gone" })).toBeVisible();
  await server.start();
  await expect.poll(() => JSON.stringify([...server.history.values()]), { timeout: 15_000 }).toContain("While gone");
});

test("two windows add to one conversation, and neither loses", async ({ page, context, server, openPage }) => {
  server.scripts = [{ text: "Start." }, { text: "From the second." }, { text: "From the first." }];
  await openPage();
  await ask(page, "Shared");
  await expect.poll(() => server.history.size).toBe(1);
  const second = await context.newPage();
  await second.goto(page.url());
  await expect(lastAnswer(second)).toContainText("Start.");
  await ask(second, "In the second");
  await expect(lastAnswer(second)).toContainText("From the second.");
  await ask(page, "In the first");
  await expect(lastAnswer(page)).toContainText("From the first.");
  await expect.poll(() => JSON.stringify([...server.history.values()])).toContain("From the first.");
  expect(JSON.stringify([...server.history.values()])).toContain("From the second.");
});
