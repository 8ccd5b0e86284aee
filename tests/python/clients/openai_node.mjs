// OpenAI's official client for Node, asked what its argument names; prints one JSON value.
// node openai_node.mjs PACKAGE_FOLDER BASE_URL TASK
import path from "node:path";
import { pathToFileURL } from "node:url";

const [folder, baseURL, task] = process.argv.slice(2);
const { default: OpenAI } = await import(pathToFileURL(path.join(folder, "index.mjs")));
const client = new OpenAI({ baseURL, apiKey: "none", maxRetries: 0 });
const model = "tiny-llama";
const messages = [{ role: "user", content: "Hello" }];
const greedy = { model, messages, temperature: 0, max_tokens: 12, ignore_eos: true };
const tool = {
  type: "function",
  function: {
    name: "forecast",
    parameters: {
      type: "object",
      properties: {
        city: { type: "string", enum: ["Paris", "Rome"] },
        days: { type: "integer", minimum: 1, maximum: 5 },
      },
      required: ["city", "days"],
      additionalProperties: false,
    },
  },
};
const structured = { model, messages, temperature: 0, max_tokens: 400 };

const tasks = {
  async models() {
    const names = [];
    for await (const each of client.models.list()) names.push(each.id);
    return names;
  },
  chat: () => client.chat.completions.create(greedy),
  async stream() {
    const whole = await client.chat.completions.create(greedy);
    const stream = client.chat.completions.stream({ ...greedy, stream_options: { include_usage: true } });
    const pieces = [];
    for await (const chunk of stream) pieces.push(chunk.choices[0]?.delta.content ?? "");
    const final = await stream.finalChatCompletion();
    return { whole: whole.choices[0].message.content, pieces, final };
  },
  async abort() {
    const stream = await client.completions.create({ model, prompt: "a", stream: true, ignore_eos: true });
    for await (const chunk of stream) if (chunk) break;
    return client.completions.create({ model, prompt: "a", max_tokens: 2, ignore_eos: true });
  },
  notFound: () => client.chat.completions.create({ ...greedy, model: "gpt-5" }),
  badRequest: () => client.chat.completions.create({ ...greedy, temperature: -1 }),
  tools: () => client.chat.completions.create({ ...structured, tools: [tool], tool_choice: "required", parallel_tool_calls: false }),
  async streamTools() {
    const stream = client.chat.completions.stream({ ...structured, tools: [tool], tool_choice: "required", parallel_tool_calls: false });
    return stream.finalChatCompletion();
  },
  schema: () => client.chat.completions.create({
    ...structured,
    response_format: {
      type: "json_schema",
      json_schema: { name: "forecast", strict: true, schema: tool.function.parameters },
    },
  }),
  embeddings: () => client.embeddings.create({ model, input: ["one", "two"], encoding_format: "float" }),
};

try {
  console.log(JSON.stringify(await tasks[task]()));
} catch (error) {
  if (!(error instanceof OpenAI.APIError)) throw error;
  const { name } = error.constructor;
  console.log(JSON.stringify({ error: { name, status: error.status, message: error.message, param: error.param } }));
}
