// The real `medlar serve`, with models of its own: a store filled from a hub that this file is as well.
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

export const PROGRAM = process.env.MEDLAR ?? fileURLToPath(new URL("../../../build/release/medlar", import.meta.url));
const GOLDENS = fileURLToPath(new URL("../../../tests/goldens", import.meta.url));

// hf.co/test/NAME is tests/goldens/tiny-NAME.gguf.
export class Hub {
  pauseMs = 0; // between two pieces of a file
  private readonly server: Server = createServer((request, response) => void this.answer(request, response));

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }
  stop(): void {
    this.server.closeAllConnections();
    this.server.close();
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const name = /^\/(?:api\/models\/)?test\/(\w+)\/(?:tree|resolve)\//.exec(request.url ?? "")?.[1];
    if (!name || !["llama", "qwen3", "gemma3"].includes(name)) return void response.writeHead(404).end();
    const content = readFileSync(join(GOLDENS, `tiny-${name}.gguf`));
    if (request.url?.startsWith("/api/")) {
      const oid = createHash("sha256").update(content).digest("hex");
      return void response.end(JSON.stringify([{ type: "file", path: "tiny-f16.gguf", size: content.length, lfs: { oid, size: content.length } }]));
    }
    const start = Number(/^bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0);
    response.writeHead(start ? 206 : 200, { "content-length": content.length - start, ...(start && { "content-range": `bytes ${start}-${content.length - 1}/${content.length}` }) });
    for (let at = start; at < content.length && !response.destroyed; at += 65536) {
      response.write(content.subarray(at, at + 65536));
      await new Promise((resolve) => setTimeout(resolve, this.pauseMs));
    }
    response.end();
  }
}

export class Medlar {
  url = "";
  line = ""; // what it says when it is ready
  readonly home = mkdtempSync(join(tmpdir(), "medlar-page-"));
  private readonly hub = new Hub();
  private hubUrl = "";
  private process: ChildProcess | undefined;

  private get environment(): NodeJS.ProcessEnv {
    return { ...process.env, MEDLAR_HOME: this.home, HF_ENDPOINT: this.hubUrl };
  }
  async begin(): Promise<void> {
    this.hubUrl = await this.hub.start();
  }
  async pull(name: string): Promise<void> {
    await promisify(execFile)(PROGRAM, ["pull", name], { env: this.environment });
  }
  set pullPauseMs(ms: number) {
    this.hub.pauseMs = ms;
  }
  async start(model?: string, ...options: string[]): Promise<void> {
    const port = this.url === "" ? "0" : new URL(this.url).port;
    this.process = spawn(PROGRAM, ["serve", ...(model ? [model] : []), "--port", port, ...options], { env: this.environment, stdio: ["ignore", "pipe", "inherit"] });
    for await (const line of createInterface({ input: this.process.stdout as NodeJS.ReadableStream })) {
      this.line = line;
      break;
    }
    this.url = this.line.split(" ").at(-1) ?? "";
    if (!this.url.startsWith("http")) throw new Error(`medlar serve did not start: ${this.line}`);
  }
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    const { process } = this;
    if (!process || process.exitCode !== null || process.signalCode !== null) return;
    const ended = new Promise((resolve) => process.once("exit", resolve));
    process.kill(signal);
    await ended;
  }
  async end(): Promise<void> {
    await this.stop("SIGKILL");
    this.hub.stop();
    rmSync(this.home, { recursive: true, force: true });
  }
  async json<T>(path: string): Promise<T> {
    return (await fetch(this.url + path)).json() as Promise<T>;
  }
}
