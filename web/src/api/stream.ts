// Server-sent events and lines of JSON out of a byte stream that may be cut anywhere.

export interface ServerEvent {
  event: string;
  data: string;
}

// Splits text into lines at LF, CR LF or CR, and keeps what is not yet a whole line.
class Lines {
  private rest = "";
  private readonly decoder = new TextDecoder("utf-8");

  push(bytes: Uint8Array): string[] {
    return this.split(this.decoder.decode(bytes, { stream: true }));
  }
  finish(): string[] {
    const lines = this.split(this.decoder.decode());
    const last = this.rest.replace(/\r$/, "");
    this.rest = "";
    return last === "" ? lines : [...lines, last];
  }
  private split(text: string): string[] {
    this.rest += text;
    // A CR at the end may be the first half of a CR LF.
    const whole = this.rest.endsWith("\r") ? this.rest.slice(0, -1) : this.rest;
    const lines = whole.split(/\r\n|\n|\r/);
    const unfinished = lines.pop() ?? "";
    this.rest = unfinished + this.rest.slice(whole.length);
    return lines;
  }
}

// The event stream format of the HTML standard, section 9.2.6, as far as a POST answer uses it.
export class EventParser {
  private readonly lines = new Lines();
  private event = "";
  private data: string[] = [];

  push(bytes: Uint8Array): ServerEvent[] {
    return this.read(this.lines.push(bytes));
  }
  // An event whose empty line never came counts as well: a server may close right after the last one.
  finish(): ServerEvent[] {
    return this.read([...this.lines.finish(), ""]);
  }

  private read(lines: string[]): ServerEvent[] {
    const events: ServerEvent[] = [];
    for (const line of lines) {
      if (line === "") {
        if (this.data.length > 0) events.push({ event: this.event || "message", data: this.data.join("\n") });
        this.event = "";
        this.data = [];
      } else if (!line.startsWith(":")) {
        this.field(line);
      }
    }
    return events;
  }
  private field(line: string): void {
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "data") this.data.push(value);
    if (name === "event") this.event = value;
  }
}

async function* chunks(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    reader.cancel().catch(() => undefined);
  }
}

export async function* readEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerEvent> {
  const parser = new EventParser();
  for await (const chunk of chunks(body)) yield* parser.push(chunk);
  yield* parser.finish();
}

export async function* readJsonLines<T>(body: ReadableStream<Uint8Array>): AsyncGenerator<T> {
  const lines = new Lines();
  const parse = (line: string): T => JSON.parse(line) as T;
  for await (const chunk of chunks(body)) yield* lines.push(chunk).filter((line) => line.trim() !== "").map(parse);
  yield* lines.finish().filter((line) => line.trim() !== "").map(parse);
}
