// Chatting: streaming, stop, retry, edit, branches, folds, files, errors.
import { answered, answers, ask, expect, lastAnswer, openTab, say, test } from "./fixtures";
import { delta } from "../mock/server";

test("an answer streams in as markdown, with its cost", async ({ page, server, openPage }) => {
  server.scripts = [{ text: "Some **bold** words.\n\n```python\nprint(1)\n```\n\nThe end.", holdAfter: 4, usage: { prompt: 50, cached: 40, answer: 9 } }];
  await openPage();
  await expect(page.getByRole("textbox", { name: "Message" })).toBeFocused();
  await say(page, "Say something");
  await expect(lastAnswer(page).locator("strong")).toHaveText("bold");
  await expect(page.getByRole("button", { name: "Stop" })).toBeVisible(); // still being written
  server.release();
  await answered(page);
  await expect(lastAnswer(page)).toContainText("The end.");
  await expect(lastAnswer(page)).toContainText("42.5 tokens/s");
  await expect(lastAnswer(page).locator(".hljs-built_in")).toHaveText("print");
  await lastAnswer(page).locator(".code-copy").click();
  await expect.poll(() => page.evaluate(() => navigator.clipboard.readText())).toBe("print(1)\n");
  expect(server.asked[0]).toMatchObject({ stream: true, stream_options: { include_usage: true }, messages: [{ role: "user", content: "Say something" }] });
  await expect(page).toHaveTitle("Say something – Medlar");
});

test("an answer can be stopped, kept and gone on with", async ({ page, server, openPage }) => {
  server.scripts = [{ text: "one two three ".repeat(100), delayMs: 30 }, { text: "and the rest." }];
  await openPage();
  await say(page, "Count");
  await expect(lastAnswer(page)).toContainText("one two three");
  await page.keyboard.press("Escape");
  await answered(page);
  await expect(lastAnswer(page)).toContainText("Stopped.");
  const begun = await lastAnswer(page).locator(".prose").innerText();
  await lastAnswer(page).getByRole("button", { name: "Go on" }).click();
  await expect(lastAnswer(page)).toContainText("and the rest.");
  await expect(answers(page)).toHaveCount(1);
  expect(server.asked[1]).toMatchObject({ continue_final_message: true });
  expect(server.asked[1]?.messages.at(-1)?.content?.trim()).toBe(begun.trim());
});

test("the stop button stops before the first token", async ({ page, server, openPage }) => {
  server.scripts = [{ chunks: [{ prompt_progress: { processed: 512, total: 2048 }, choices: [] }, ...Array(50).fill({ choices: [] })], delayMs: 100 }];
  await openPage();
  await say(page, "Read");
  await expect(lastAnswer(page)).toContainText("Reading the prompt, 25 %");
  await page.getByRole("button", { name: "Stop" }).click();
  await expect(lastAnswer(page)).toContainText("Stopped before the first token.");
});

test("retry writes another version, and both can be read", async ({ page, server, openPage }) => {
  server.scripts = [{ text: "First version." }, { text: "Second version." }, { text: "On the first." }];
  await openPage();
  await ask(page, "Hello");
  await lastAnswer(page).getByRole("button", { name: "Retry" }).click();
  await expect(lastAnswer(page)).toContainText("Second version.");
  await expect(lastAnswer(page)).toContainText("2/2");
  await lastAnswer(page).getByRole("button", { name: "Previous version" }).click();
  await expect(lastAnswer(page)).toContainText("First version.");
  await ask(page, "Go on");
  expect(server.asked[2]?.messages.map((message) => message.content)).toEqual(["Hello", "First version.", "Go on"]);
  await answers(page).first().getByRole("button", { name: "Next version" }).click();
  await expect(answers(page)).toHaveCount(1);
  await expect(lastAnswer(page)).toContainText("Second version.");
});

test("an edited message begins a branch; the first stays", async ({ page, server, openPage }) => {
  server.scripts = [{ text: "About cats." }, { text: "About dogs." }];
  await openPage();
  await ask(page, "Cats?");
  await page.keyboard.press("ArrowUp");
  const editor = page.getByRole("textbox", { name: "Edit the message" });
  await expect(editor).toHaveValue("Cats?");
  await editor.fill("Dogs?");
  await page.keyboard.press("Enter");
  await expect(lastAnswer(page)).toContainText("About dogs.");
  expect(server.asked[1]?.messages).toEqual([{ role: "user", content: "Dogs?" }]);
  const question = page.locator("article.user");
  await expect(question).toContainText("2/2");
  await question.getByRole("button", { name: "Previous version" }).click();
  await expect(lastAnswer(page)).toContainText("About cats.");
});

test("an answer can be edited without asking the model", async ({ page, server, openPage }) => {
  await openPage();
  await ask(page, "Hello");
  await lastAnswer(page).getByRole("button", { name: "Edit" }).click();
  await page.getByRole("textbox", { name: "Edit the answer" }).fill("My own words.");
  await page.getByRole("button", { name: "Keep", exact: true }).click();
  await expect(lastAnswer(page)).toContainText("My own words.");
  await expect(lastAnswer(page)).toContainText("2/2");
  expect(server.asked).toHaveLength(1);
});

test("reasoning is folded", async ({ page, server, openPage }) => {
  server.scripts = [{ chunks: [delta({ reasoning_content: "First I **think**." }), delta({ reasoning_content: " Then more." }), delta({ content: "The answer." })], delayMs: 60 }];
  await openPage();
  await ask(page, "Think");
  const fold = lastAnswer(page).getByRole("button", { name: /^Thought for/ });
  await expect(fold).toHaveAttribute("aria-expanded", "false");
  await expect(page.getByText("First I think.")).toHaveCount(0);
  await fold.click();
  await expect(page.getByText("First I think. Then more.")).toBeVisible();
  await ask(page, "Again");
  expect(JSON.stringify(server.asked[1]?.messages)).not.toContain("First I");
});

test("tool calls are folded, and their results given", async ({ page, server, openPage }) => {
  const tools = [{ type: "function", function: { name: "weather", parameters: { type: "object" } } }];
  server.scripts = [
    { chunks: [delta({ tool_calls: [{ index: 0, id: "c1", function: { name: "weather", arguments: '{"city"' } }] }), delta({ tool_calls: [{ index: 0, function: { arguments: ':"Rome"}' } }] })], finish: "tool_calls" },
    { text: "It is sunny in Rome." },
  ];
  await openPage();
  await openTab(page, "Settings");
  await page.getByLabel("Tools").fill(JSON.stringify(tools));
  await ask(page, "Weather in Rome?");
  expect(server.asked[0]?.tools).toEqual(tools);
  await lastAnswer(page).getByRole("button", { name: /Calls weather/ }).click();
  await expect(lastAnswer(page).locator("pre")).toHaveText('{\n  "city": "Rome"\n}');
  await page.getByLabel("Result of weather").fill("sunny, 21 °C");
  await page.getByRole("button", { name: "Give result" }).click();
  await expect(lastAnswer(page)).toContainText("It is sunny in Rome.");
  expect(server.asked[1]?.messages.slice(1)).toEqual([
    { role: "assistant", content: null, tool_calls: [{ id: "c1", type: "function", function: { name: "weather", arguments: '{"city":"Rome"}' } }] },
    { role: "tool", content: "sunny, 21 °C", tool_call_id: "c1" },
  ]);
});

test("text files are attached, others refused with the reason", async ({ page, server, openPage }) => {
  await openPage();
  const picker = page.locator("main input[type=file]");
  await picker.setInputFiles([{ name: "notes.md", mimeType: "text/markdown", buffer: Buffer.from("# Notes\nBuy `figs`.\n") }]);
  await picker.setInputFiles([{ name: "photo.png", mimeType: "image/png", buffer: Buffer.from([137, 80, 0, 1]) }]);
  await expect(page.getByText("photo.png is not a text file.")).toBeVisible();
  await expect(page.getByRole("list", { name: "Attached files" })).toContainText("notes.md");
  await ask(page, "What is in it?");
  expect(server.asked[0]?.messages[0]?.content).toBe("File: notes.md\n```\n# Notes\nBuy `figs`.\n```\n\nWhat is in it?");
  await page.getByRole("button", { name: /notes.md/ }).click();
  await expect(page.getByText("Buy `figs`.")).toBeVisible();
});

test("the system prompt and sampling are sent, and presets kept", async ({ page, server, openPage }) => {
  await openPage();
  await openTab(page, "Settings");
  await page.getByLabel("System prompt").fill("Answer in rhymes.");
  await page.getByLabel("Temperature", { exact: true }).fill("0.3");
  await page.getByLabel("Seed", { exact: true }).fill("7");
  await page.getByLabel("Stop texts").fill("END\nSTOP");
  await page.getByLabel("Reasoning").selectOption("off");
  await page.getByRole("button", { name: "Keep as preset" }).click();
  await page.getByLabel("Name of the preset").fill("Poet");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("combobox", { name: "Preset", exact: true })).toHaveValue("Poet");
  await ask(page, "Hello");
  expect(server.asked[0]).toMatchObject({ temperature: 0.3, seed: 7, stop: ["END", "STOP"], chat_template_kwargs: { enable_thinking: false }, messages: [{ role: "system", content: "Answer in rhymes." }, { role: "user" }] });
  await page.reload();
  await expect(page.getByLabel("System prompt")).toHaveValue("Answer in rhymes.");
  await page.getByRole("combobox", { name: "Preset", exact: true }).selectOption("Precise");
  await expect(page.getByLabel("Temperature", { exact: true })).toHaveValue("0.2");
  await page.getByRole("combobox", { name: "Preset", exact: true }).selectOption("Poet");
  await expect(page.getByLabel("Seed", { exact: true })).toHaveValue("7");
  await page.getByRole("button", { name: "Delete preset" }).click();
  await expect(page.getByRole("combobox", { name: "Preset", exact: true })).toHaveValue("");
});

test("the cache explains itself", async ({ page, server, openPage }) => {
  server.scripts = [{ text: "x", usage: { prompt: 1310, cached: 1204 }, miss: { position: 1204, cached: "Today is Monday", given: "Today is\nTuesday" } }];
  await openPage();
  await ask(page, "Hello");
  await lastAnswer(page).getByRole("button", { name: "92 % of the prompt from cache" }).click();
  await expect(lastAnswer(page)).toContainText("1,204 were known from before, 106 had to be read.");
  await expect(lastAnswer(page)).toContainText("It stopped matching at token 1,204");
  await expect(lastAnswer(page).locator("dd")).toHaveText(["Today is Monday", "Today is↵Tuesday"]);
});

test("a full context is told with its numbers", async ({ page, server, openPage }) => {
  server.scripts = [{ status: 400, error: { message: "the prompt has 9120 tokens", code: "context_length_exceeded", n_prompt_tokens: 9120, n_ctx: 8192, largest_context: 16384 } }, { text: "Now it fits." }];
  await openPage();
  await ask(page, "Long");
  const failure = page.getByRole("group", { name: "The context is full" });
  await expect(failure).toContainText("9,120 tokens; the context holds 8,192");
  await expect(failure).toContainText("medlar serve -c 16384");
  await failure.getByRole("button", { name: "Try again" }).click();
  await expect(lastAnswer(page)).toContainText("Now it fits.");
  await expect(lastAnswer(page)).not.toContainText("2/2"); // the failed one is no version
});

test("an error in the middle of a stream keeps what was said", async ({ page, server, openPage }) => {
  server.scripts = [{ chunks: [delta({ content: "So far" }), { error: { message: "the device was lost" } }] }];
  await openPage();
  await ask(page, "Hello");
  await expect(lastAnswer(page)).toContainText("So far");
  await expect(page.getByRole("group", { name: "The answer failed" })).toContainText("the device was lost");
});

test("a message waits while the model loads", async ({ page, server, openPage }) => {
  server.loading = "the model qwen3:8b is loading";
  await openPage();
  await expect(page.getByText("Not ready yet:")).toBeVisible();
  await say(page, "Hello");
  await expect(lastAnswer(page)).toContainText("the model qwen3:8b is loading");
  server.loading = "";
  await expect(lastAnswer(page)).toContainText("How can I help?");
  await expect(page.getByText("Not ready yet:")).toHaveCount(0);
});

test("a server that is gone is told, and found again", async ({ page, server, openPage }) => {
  server.scripts = [{ text: "A long answer that breaks. ".repeat(20), holdAfter: 12, breakAfter: 12 }, { text: "All of it." }];
  await openPage();
  await say(page, "Hello");
  await expect(lastAnswer(page)).toContainText("A long answer");
  server.release();
  const failure = page.getByRole("group", { name: "The server is gone" });
  await expect(failure).toContainText("what was said is kept");
  await expect(lastAnswer(page)).toContainText("A long answer");
  await server.stop();
  await expect(page.getByText("The server does not answer.")).toBeVisible();
  await server.start();
  await expect(page.getByText("The server does not answer.")).toHaveCount(0);
  await failure.getByRole("button", { name: "Try again" }).click();
  await expect(lastAnswer(page)).toContainText("All of it.");
});

test("a key is asked for where one is needed", async ({ page, server, openPage }) => {
  server.key = "sesame";
  await openPage();
  await page.getByRole("button", { name: "Give a key" }).click();
  await page.getByLabel("API key").fill("sesame");
  await page.keyboard.press("Enter");
  await ask(page, "Hello");
  await expect(lastAnswer(page)).toContainText("How can I help?");
});

test("a draft outlives the page", async ({ page, openPage }) => {
  await openPage();
  await page.getByRole("textbox", { name: "Message" }).fill("half a thou");
  await page.reload();
  await expect(page.getByRole("textbox", { name: "Message" })).toHaveValue("half a thou");
  await ask(page, "whole");
  await page.reload();
  await expect(page.getByRole("textbox", { name: "Message" })).toHaveValue("");
});

test("an answer goes on while another conversation is read", async ({ page, server, openPage }) => {
  server.scripts = [{ text: "slow words ".repeat(30), delayMs: 40 }, { text: "Quick." }];
  await openPage();
  await say(page, "Slow one");
  await expect(lastAnswer(page)).toContainText("slow words");
  await page.getByRole("button", { name: "New chat" }).click();
  await ask(page, "Quick one");
  await expect(lastAnswer(page)).toContainText("Quick.");
  await page.getByRole("button", { name: "Slow one", exact: true }).or(page.getByRole("button", { name: /^Slow one/ })).first().click();
  await answered(page);
  expect((await lastAnswer(page).locator(".prose").innerText()).match(/slow/g)).toHaveLength(30);
});

test("hostile text does nothing", async ({ page, server, openPage }) => {
  server.scripts = [{
    delayMs: 5,
    text: [
      "<script>alert(1)</script>", '<img src="https://evil.example/x.png" onerror="alert(1)">', "[link](javascript:alert(1))",
      "![p](https://evil.example/p.png)", '<iframe src="https://evil.example"></iframe>', "<svg onload=alert(1)></svg>",
      '<form action="https://evil.example"><input><button>x</button></form>', '<style>@import "https://evil.example";</style>',
      '```"><img src=x onerror=alert(1)>\nx\n```',
    ].join("\n\n"),
  }];
  await openPage();
  await ask(page, "<img src=x onerror=alert(2)>");
  await expect(lastAnswer(page)).toContainText("<script>alert(1)</script>");
  await expect(page.locator("article").locator("script, img, iframe, form, style, .prose svg, .prose input")).toHaveCount(0);
  await expect(page.locator("article.user")).toContainText("<img src=x onerror=alert(2)>");
  expect(await page.evaluate(() => [...document.querySelectorAll("article a")].map((link) => (link as HTMLAnchorElement).protocol))).not.toContain("javascript:");
});
