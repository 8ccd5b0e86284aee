// Every action of the page on the real server. What a tiny random model says is noise; where words matter, an answer
// is edited.
import AxeBuilder from "@axe-core/playwright";
import type { Page, Request } from "@playwright/test";
import { readFile } from "node:fs/promises";
import { answered, answers, ask, expect, lastAnswer, LLAMA, openTab, QWEN, say, test } from "./fixtures";

const SHORT = 24; // tokens

// A short answer with the same words each time.
async function shortAnswers(page: Page, tokens = SHORT): Promise<void> {
  await openTab(page, "Settings");
  await page.getByLabel("Longest answer", { exact: true }).fill(String(tokens));
  await page.getByLabel("Seed", { exact: true }).fill("7");
  await page.getByRole("button", { name: "Close panel" }).click();
}
async function edit(page: Page, text: string): Promise<void> {
  await lastAnswer(page).getByRole("button", { name: "Edit" }).click();
  await page.getByRole("textbox", { name: "Edit the answer" }).fill(text);
  await page.getByRole("button", { name: "Keep", exact: true }).click();
}
const chatRequest = (page: Page): Promise<Request> => page.waitForRequest(/\/v1\/chat\/completions$/);

test("an answer streams, with its cost, and the cache explains itself", async ({ page, openPage }) => {
  await openPage();
  await expect(page.getByRole("heading", { name: "What shall we talk about?" })).toBeVisible();
  await expect(page.getByText("a context of 4,096 tokens")).toBeVisible();
  await shortAnswers(page);
  await ask(page, "Name three rivers that flow north.");
  await expect(lastAnswer(page)).toContainText(/\d tokens\/s/);
  const first = await lastAnswer(page).locator(".prose").innerText();
  expect(first.trim()).not.toBe("");
  await ask(page, "And now three lakes.");
  await lastAnswer(page).getByRole("button", { name: /% of the prompt from cache/ }).click();
  await expect(lastAnswer(page)).toContainText(/\d+ were known from before,\s+\d+ had to be read\./);
  // Another wording of the first message stops matching where it differs.
  await page.locator("article.user").first().getByRole("button", { name: "Edit" }).click();
  await page.getByRole("textbox", { name: "Edit the message" }).fill("Name three rivers that flow south.");
  await page.keyboard.press("Enter");
  await answered(page);
  await lastAnswer(page).getByRole("button", { name: /% of the prompt from cache/ }).click();
  await expect(lastAnswer(page)).toContainText("It stopped matching at token");
  await expect(lastAnswer(page).locator("dd").first()).toContainText("north");
  await expect(lastAnswer(page).locator("dd").last()).toContainText("south");
});

test("an answer is stopped, gone on with, retried and branched", async ({ page, openPage }) => {
  await openPage();
  await say(page, "Go on for long");
  await expect(lastAnswer(page).locator(".prose")).not.toBeEmpty();
  await page.getByRole("button", { name: "Stop" }).click();
  await answered(page);
  await expect(lastAnswer(page)).toContainText("Stopped.");
  await shortAnswers(page);
  await edit(page, "The rivers are");
  const going = chatRequest(page);
  await lastAnswer(page).getByRole("button", { name: "Retry" }).click();
  await going;
  await answered(page);
  await expect(lastAnswer(page)).toContainText("3/3");
  await lastAnswer(page).getByRole("button", { name: "Previous version" }).click();
  await expect(lastAnswer(page).locator(".prose")).toHaveText("The rivers are");
  await expect(answers(page)).toHaveCount(1);
  await page.locator("article.user").getByRole("button", { name: "Edit" }).click();
  await page.getByRole("textbox", { name: "Edit the message" }).fill("Another beginning");
  await page.keyboard.press("Enter");
  await answered(page);
  await expect(page.locator("article.user")).toContainText("2/2");
  await page.locator("article.user").getByRole("button", { name: "Previous version" }).click();
  await expect(lastAnswer(page).locator(".prose")).toHaveText("The rivers are");
});

test("a stopped answer goes on where it was", async ({ page, openPage }) => {
  await openPage();
  await say(page, "Count");
  await expect(lastAnswer(page).locator(".prose")).not.toBeEmpty();
  await page.keyboard.press("Escape");
  await answered(page);
  await shortAnswers(page);
  const going = chatRequest(page);
  await lastAnswer(page).getByRole("button", { name: "Go on" }).click();
  expect((await going).postDataJSON()).toMatchObject({ continue_final_message: true });
  await answered(page);
  await expect(page.getByRole("group", { name: /failed/ })).toHaveCount(0);
  await expect(answers(page)).toHaveCount(1);
});

test("the system prompt, a preset and sampling reach the model", async ({ page, openPage }) => {
  await openPage();
  await shortAnswers(page);
  await openTab(page, "Settings");
  // Empty fields show what the server would take.
  await expect(page.getByLabel("Top k", { exact: true })).toHaveAttribute("placeholder", "40");
  await page.getByLabel("System prompt").fill("Answer in rhymes.");
  const asked = chatRequest(page);
  await ask(page, "Hello");
  const body = (await asked).postDataJSON();
  expect(body).toMatchObject({ max_tokens: SHORT, seed: 7, messages: [{ role: "system", content: "Answer in rhymes." }, { role: "user", content: "Hello" }] });
  const first = await lastAnswer(page).locator(".prose").innerText();
  await lastAnswer(page).getByRole("button", { name: "Retry" }).click();
  await expect(lastAnswer(page)).toContainText("2/2");
  await answered(page);
  expect(await lastAnswer(page).locator(".prose").innerText()).toBe(first); // the same seed
  await page.getByRole("combobox", { name: "Preset", exact: true }).selectOption("Creative");
  await page.getByLabel("Longest answer", { exact: true }).fill(String(SHORT));
  const again = chatRequest(page);
  await ask(page, "And now?");
  expect((await again).postDataJSON()).toMatchObject({ temperature: 1.1 });
  await expect(page.getByRole("group", { name: /failed/ })).toHaveCount(0);
});

test("tools and reasoning are asked for, and nothing is refused", async ({ page, openPage }) => {
  await openPage();
  await shortAnswers(page);
  await openTab(page, "Settings");
  await page.getByLabel("Tools").fill(JSON.stringify([{ type: "function", function: { name: "weather", description: "The weather in a city", parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] } } }]));
  await page.getByLabel("Reasoning").selectOption("off");
  const asked = chatRequest(page);
  await ask(page, "How is the weather in Rome?");
  expect((await asked).postDataJSON()).toMatchObject({ tools: [{ function: { name: "weather" } }], chat_template_kwargs: { enable_thinking: false } });
  await expect(page.getByRole("group", { name: /failed|not/ })).toHaveCount(0);
  await expect(lastAnswer(page)).toContainText("tokens");
});

test("a text file is attached and read", async ({ page, openPage }) => {
  await openPage();
  await shortAnswers(page);
  await page.locator("input[type=file]:not([data-import])").setInputFiles({ name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("A line of notes.\n".repeat(40)) });
  await expect(page.getByText("notes.txt")).toBeVisible();
  const asked = chatRequest(page);
  await ask(page, "What does it say?");
  expect(JSON.stringify((await asked).postDataJSON())).toContain("A line of notes.");
  await expect(page.locator("article.user")).toContainText("notes.txt");
  await expect(lastAnswer(page)).toContainText("tokens/s");
});

test("markdown is shown, and can run nothing", async ({ page, openPage }) => {
  await openPage();
  await shortAnswers(page);
  await ask(page, "Hello");
  await edit(page, "Some **bold** words.\n\n```python\nprint(1)\n```\n\n<script>alert(1)</script>\n\n<img src=x onerror=alert(1)>\n\n[a](javascript:alert(1)) ![p](https://evil.example/p.png)");
  await expect(lastAnswer(page).locator("strong")).toHaveText("bold");
  await expect(lastAnswer(page).locator(".hljs-built_in")).toHaveText("print");
  await expect(lastAnswer(page)).toContainText("<script>alert(1)</script>");
  await expect(page.locator("article").locator("script, img, iframe")).toHaveCount(0);
  // Whatever got in could do nothing: the server's policy stands.
  const policy = await page.evaluate(async () => (await fetch("/", { headers: { accept: "text/html" } })).headers.get("content-security-policy"));
  expect(policy).toContain("script-src 'self'");
});

test("conversations are kept, searched, exported, imported and deleted", async ({ page, medlar, openPage }) => {
  await openPage();
  await shortAnswers(page);
  await ask(page, "Tell me of quinces");
  await lastAnswer(page).getByRole("button", { name: "Retry" }).click();
  await expect(lastAnswer(page)).toContainText("2/2");
  await answered(page);
  await page.getByRole("button", { name: "New chat" }).click();
  await ask(page, "Tell me of pears");
  const list = (): Promise<{ data: { title: string }[] }> => medlar.json("/medlar/history");
  await expect.poll(async () => (await list()).data.map(({ title }) => title).sort()).toEqual(["Tell me of pears", "Tell me of quinces"]);
  await page.reload();
  await expect(page.locator("article.user")).toContainText("pears");
  await page.keyboard.press("Control+k");
  await page.keyboard.type("QUINC");
  const rows = page.getByRole("navigation", { name: "History" }).getByRole("listitem");
  await expect(rows).toHaveCount(1);
  await expect(rows).toContainText("Tell me of quinces");
  await page.keyboard.press("Escape");
  await expect(rows).toHaveCount(2);
  const saved = page.waitForEvent("download");
  await page.getByRole("button", { name: "Export all" }).click();
  const file = await (await saved).path();
  expect((JSON.parse(await readFile(file, "utf-8")) as { conversations: unknown[] }).conversations).toHaveLength(2);
  await page.getByRole("button", { name: "Delete Tell me of quinces" }).click();
  await expect.poll(async () => (await list()).data.length).toBe(1);
  await page.locator("input[data-import]").setInputFiles(file);
  await expect(page.getByText("1 conversation imported")).toBeVisible();
  await expect.poll(async () => (await list()).data.length).toBe(2);
  // It outlives the server, however that ends.
  await medlar.stop("SIGKILL");
  await expect(page.getByText("The server does not answer.")).toBeVisible();
  await medlar.start(LLAMA, "-c", "4096");
  await expect(page.getByText("The server does not answer.")).toHaveCount(0);
  await page.reload();
  await page.getByRole("button", { name: "Tell me of quinces", exact: true }).click();
  await expect(lastAnswer(page)).toContainText("2/2");
});

test("models are loaded, unloaded and pulled", async ({ page, medlar, openPage }) => {
  await openPage();
  await shortAnswers(page);
  await openTab(page, "Models");
  await expect(page.locator("#panel li")).toHaveCount(2);
  await page.getByRole("button", { name: new RegExp(`^${QWEN}`) }).click();
  await expect(page.locator("#panel dl")).toContainText("architectureqwen3");
  await page.getByRole("button", { name: `Load ${QWEN}` }).click();
  await expect(page.getByText(`${QWEN} is loaded`)).toBeVisible();
  await ask(page, "Who are you?");
  await expect(lastAnswer(page)).toHaveAttribute("aria-label", QWEN);
  await page.getByRole("button", { name: `Unload ${QWEN}` }).click();
  await expect(page.getByText(`${QWEN} is unloaded`)).toBeVisible();
  await page.getByRole("button", { name: `Unload ${LLAMA}` }).click();
  await expect(page.getByText(`${LLAMA} is unloaded`)).toBeVisible();
  await ask(page, "Anybody?");
  const failure = page.getByRole("group", { name: "No model is loaded" });
  await failure.getByRole("button", { name: `Load ${QWEN}` }).click(); // which answered before
  await expect(lastAnswer(page)).toHaveAttribute("aria-label", QWEN);
  await expect(lastAnswer(page)).toContainText("tokens/s");
  // Choosing a model loads it.
  await page.getByRole("combobox", { name: "Model", exact: true }).selectOption(LLAMA);
  await ask(page, "Now?");
  await expect(lastAnswer(page)).toContainText("tokens/s");
  medlar.pullPauseMs = 400;
  await page.getByLabel("Pull a model").fill("hf.co/test/gemma3");
  await page.keyboard.press("Enter");
  const pull = page.getByRole("group", { name: "Pull of hf.co/test/gemma3" });
  await expect(pull).toContainText(/ of .*B, \d+ %/);
  await expect(page.getByText("hf.co/test/gemma3 is here")).toBeVisible();
  await expect(page.locator("#panel li")).toHaveCount(3);
  await page.getByLabel("Pull a model").fill("hf.co/test/nothing");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("group", { name: "Pull of hf.co/test/nothing" }).getByRole("alert")).toContainText("nothing");
});

test("a server without a model offers those that are here", async ({ page, medlar, openPage }) => {
  await medlar.stop();
  await medlar.start();
  expect(medlar.line).toContain("no model yet");
  await openPage();
  await expect(page.getByRole("heading", { name: "No model is loaded" })).toBeVisible();
  await page.getByRole("button", { name: "Choose a model" }).click();
  await page.getByRole("button", { name: `Load ${LLAMA}` }).click();
  await expect(page.getByRole("heading", { name: "What shall we talk about?" })).toBeVisible();
  await shortAnswers(page);
  await ask(page, "Hello");
  await expect(lastAnswer(page)).toContainText("tokens/s");
});

test("a conversation keeps its model, whichever others are loaded", async ({ page, openPage }) => {
  await openPage();
  await shortAnswers(page);
  await page.getByRole("combobox", { name: "Model", exact: true }).selectOption(QWEN);
  await ask(page, "First");
  await expect(lastAnswer(page)).toHaveAttribute("aria-label", QWEN);
  await openTab(page, "Models");
  await page.getByRole("button", { name: `Unload ${QWEN}` }).click();
  await expect(page.getByText(`${QWEN} is unloaded`)).toBeVisible();
  await ask(page, "Second"); // which loads it again
  await expect(lastAnswer(page)).toHaveAttribute("aria-label", QWEN);
  await expect(lastAnswer(page)).toContainText("tokens/s");
  await expect(page.getByRole("button", { name: /^Unload/ })).toHaveCount(2);
});

test("memory and speed are shown", async ({ page, openPage }) => {
  await openPage();
  await shortAnswers(page);
  await openTab(page, "Machine");
  await expect(page.getByRole("img", { name: /in use/ })).toBeVisible();
  await expect(page.locator("#panel dl")).toContainText(/Weights\s*\d/);
  await ask(page, "One");
  await ask(page, "Two");
  await expect(page.locator("#panel canvas")).toHaveCount(2);
  await expect(page.getByRole("table", { name: "Writing speed, tokens/s" }).getByRole("row")).toHaveCount(3);
  await expect(page.getByRole("table", { name: "Time to first token, s" }).getByRole("row")).toHaveCount(3);
  await expect(page.locator("#panel dl")).toContainText(/Prompt cache\s*[1-9]/);
});

test("a prompt that does not fit is told with its numbers", async ({ page, openPage }) => {
  await openPage();
  await ask(page, "word ".repeat(9000));
  await expect(page.getByRole("group", { name: "The context is full" })).toContainText("the context holds 4,096");
});

test("all is done from the keyboard", async ({ page, openPage }) => {
  await openPage();
  await shortAnswers(page);
  await page.keyboard.press("n");
  await ask(page, "Hello");
  await page.keyboard.press("Shift+Tab");
  await page.keyboard.press("k");
  await expect(page.locator("article.user")).toBeFocused();
  await page.keyboard.press("j");
  await page.keyboard.press("r");
  await expect(lastAnswer(page)).toContainText("2/2");
  await answered(page);
  await page.keyboard.press("m");
  await expect(page.getByRole("tab", { name: "Models" })).toHaveAttribute("aria-selected", "true");
  await page.keyboard.press("t");
  await expect(page.locator("html")).toHaveAttribute("data-theme", "light");
});

for (const colorScheme of ["light", "dark"] as const) {
  for (const [name, viewport] of [["desktop", { width: 1360, height: 850 }], ["phone", { width: 390, height: 780 }]] as const) {
    test(`axe finds nothing, and pictures: ${colorScheme}, ${name}`, async ({ page, openPage }) => {
      test.slow();
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      await page.setViewportSize(viewport);
      const look = async (state: string): Promise<void> => {
        await page.waitForTimeout(50);
        await page.screenshot({ path: `test-results/look/served-${colorScheme}-${name}-${state}.png` });
        const { violations } = await new AxeBuilder({ page }).withTags(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]).analyze();
        expect(violations.map(({ id, nodes }) => `${state}: ${id}: ${nodes.map((node) => node.target.join(" ")).slice(0, 3).join(", ")}`)).toEqual([]);
      };
      await openPage();
      await look("welcome");
      await shortAnswers(page);
      await ask(page, "Name three rivers that flow north.");
      await ask(page, "And three lakes.");
      await lastAnswer(page).getByRole("button", { name: /from cache/ }).click();
      await look("chat");
      for (const tab of ["Settings", "Models", "Machine"] as const) {
        await openTab(page, tab);
        if (tab === "Models") await page.getByRole("button", { name: new RegExp(`^${LLAMA}`) }).click();
        await look(tab);
      }
    });
  }
}
