// Models, memory and time.
import { ask, expect, openTab, test } from "./fixtures";

const rows = "#panel li";

test("models are listed, loaded and unloaded", async ({ page, server, openPage }) => {
  await openPage();
  await openTab(page, "Models");
  await expect(page.locator(rows)).toHaveCount(2);
  await expect(page.locator(rows).first()).toContainText("Loaded · 135M · Q4_1 · 98.4 MB · context 8,192");
  await page.getByRole("button", { name: "Load qwen3:8b" }).click();
  await expect(page.getByText("qwen3:8b is loaded")).toBeVisible();
  expect(server.loaded).toEqual(["qwen3:8b"]);
  await page.getByRole("button", { name: "Unload qwen3:8b" }).click();
  await expect(page.getByText("qwen3:8b is unloaded")).toBeVisible();
  await page.getByRole("button", { name: /^qwen3:8b/ }).click();
  await expect(page.locator(rows).nth(1)).toContainText("trained context8,192");
});

test("a model is chosen for a chat, and for the next one", async ({ page, server, openPage }) => {
  await openPage();
  await page.getByRole("combobox", { name: "Model", exact: true }).selectOption("qwen3:8b");
  await ask(page, "Hello");
  expect(server.asked[0]?.model).toBe("qwen3:8b");
  expect(server.loaded).toEqual(["qwen3:8b"]); // what is chosen is loaded
  await expect(page.locator("article.assistant")).toHaveAttribute("aria-label", "qwen3:8b");
  await page.goto(server.url);
  await expect(page.getByRole("combobox", { name: "Model", exact: true })).toHaveValue("qwen3:8b");
});

test("a pull shows its progress", async ({ page, server, openPage }) => {
  server.pulls = [{ status: "resolving" }, { status: "pulling", total: 253e6, completed: 1e6 }, { status: "pulling", total: 253e6, completed: 127e6 }, { status: "verifying" }, { status: "success" }];
  server.pullDelayMs = 250;
  await openPage();
  await openTab(page, "Models");
  await page.getByLabel("Pull a model").fill("gemma3:270m");
  await page.getByRole("button", { name: "Pull", exact: true }).click();
  const pull = page.getByRole("group", { name: "Pull of gemma3:270m" });
  await expect(pull).toContainText("127 MB of 253 MB, 50 %");
  await expect(page.getByText("gemma3:270m is here")).toBeVisible();
  await expect(pull).toHaveCount(0);
  await expect(page.locator(rows)).toHaveCount(3);
});

test("a pull that fails says why and can be tried again; one that runs can be cancelled", async ({ page, server, openPage }) => {
  server.pulls = [{ status: "pulling", total: 100, completed: 10 }, { error: "the disk is full: 40 GB are needed, 3 GB are free" }];
  await openPage();
  await openTab(page, "Models");
  await page.getByLabel("Pull a model").fill("big");
  await page.keyboard.press("Enter");
  const pull = page.getByRole("group", { name: "Pull of big" });
  await expect(pull.getByRole("alert")).toContainText("the disk is full");
  server.pulls = Array(50).fill({ status: "pulling", total: 100, completed: 20 });
  await pull.getByRole("button", { name: "Try again" }).click();
  await expect(pull).toContainText("20 %");
  await pull.getByRole("button", { name: "Cancel big" }).click();
  await expect(pull).toHaveCount(0);
});

test("a server without models says what to do", async ({ page, server, openPage }) => {
  server.stored = [];
  server.loaded = [];
  await openPage();
  await expect(page.getByRole("heading", { name: "No model yet" })).toBeVisible();
  await page.getByRole("button", { name: "Choose a model" }).click();
  await page.getByRole("button", { name: "smollm2:135m" }).click();
  await expect(page.getByLabel("Pull a model")).toHaveValue("smollm2:135m");
});

test("memory is shown by its parts, live", async ({ page, server, openPage }) => {
  await openPage();
  await page.getByRole("banner").getByRole("button", { name: "Machine" }).click();
  const bar = page.getByRole("img", { name: /in use/ });
  await expect(bar).toHaveAccessibleName("7.1 GB of 12.0 GB in use, 59 percent");
  await expect(page.locator("#panel dl")).toContainText("KV 1.2 GB");
  server.memory = { ...server.memory, categories: { ...server.memory.categories, kv: 8e9 } };
  await expect(page.locator("#panel .sum")).toContainText("over the ceiling");
});

test("speed and first token are plotted, and readable without eyes", async ({ page, openPage }) => {
  await openPage();
  await openTab(page, "Machine");
  await expect(page.getByText("Shown after the first answer.")).toHaveCount(2);
  await ask(page, "One");
  await ask(page, "Two");
  await expect(page.locator("#panel canvas")).toHaveCount(2);
  await expect(page.getByRole("table", { name: "Writing speed, tokens/s" }).getByRole("row")).toHaveText(["Answertokens/s", "142.5", "242.5"]);
  await expect(page.getByRole("table", { name: "Time to first token, s" }).getByRole("row").last()).toHaveText("20.18");
  await expect(page.locator("#panel")).toContainText("75 % of 240 prompt tokens from cache");
});
