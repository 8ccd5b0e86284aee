// Runs in Node: ENTRY MODEL PROMPT GEN THREADS BATCH cpu|cuda speed|first. ENTRY is node-llama-cpp's index.js.

const [entry, modelPath, ...rest] = process.argv.slice(2);
const [prompt, gen, threads, batch] = rest.slice(0, 4).map(Number);
const [device, mode] = rest.slice(4);
const gpu = device === "cpu" ? false : device;
const { getLlama } = await import(entry);

// Seconds until the first of `count` tokens after `tokens` is there, and from it to the last.
async function write(context, tokens, count) {
  const sequence = context.getSequence();
  const start = performance.now();
  let first = 0, last = 0, written = 0;
  for await (const _ of sequence.evaluate(tokens, { temperature: 0, yieldEogToken: true })) {
    last = performance.now();
    first ||= last;
    if (++written === count) break;
  }
  sequence.dispose();
  if (written !== count) throw new Error(`${written} tokens instead of ${count}`);
  return { first: (first - start) / 1000, rest: (last - first) / 1000 };
}

const start = performance.now();
const llama = await getLlama({ gpu, build: "never", maxThreads: threads, logLevel: "error" });
const model = await llama.loadModel({ modelPath, gpuLayers: gpu ? "max" : 0, useMmap: true });
const context = await model.createContext({
  contextSize: mode === "speed" ? prompt + gen + 8 : 64, batchSize: batch, threads, flashAttention: true,
  experimentalKvCacheKeyType: "Q8_0", experimentalKvCacheValueType: "Q8_0",
});
const load = performance.now() - start;

if (mode === "first") {
  await write(context, [1], 1);
  console.log("first");
} else {
  // Tokens that any vocabulary has, in no order.
  const tokens = Array.from({ length: prompt }, (_, i) => 300 + ((i * 7919) % 20011));
  await write(context, tokens.slice(0, batch), 2);
  const { first } = await write(context, tokens, 1);
  const { rest } = await write(context, tokens.slice(0, 1), gen + 1);
  console.log(JSON.stringify({ pp: prompt / first, tg: gen / rest, load_ms: load }));
}
process.exit(0);
