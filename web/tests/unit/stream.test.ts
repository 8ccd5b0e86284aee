// Event streams and JSON lines, cut at every byte.
import { describe, expect, it } from "vitest";
import { EventParser, readEvents, readJsonLines, type ServerEvent } from "../../src/api/stream";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function streamOf(parts: Uint8Array[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (const part of parts) controller.enqueue(part);
      controller.close();
    },
  });
}
async function all<T>(values: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const value of values) list.push(value);
  return list;
}
function parse(parts: Uint8Array[]): ServerEvent[] {
  const parser = new EventParser();
  return [...parts.flatMap((part) => parser.push(part)), ...parser.finish()];
}

const STREAM = ': hello\n\ndata: {"a":"é😀 ü"}\r\n\r\nevent: error\ndata: one\ndata: two\n\ndata:[DONE]\n\n';
const EVENTS = [
  { event: "message", data: '{"a":"é😀 ü"}' },
  { event: "error", data: "one\ntwo" },
  { event: "message", data: "[DONE]" },
];

describe("EventParser", () => {
  it("gives the same events wherever the stream is cut", () => {
    const data = bytes(STREAM);
    expect(parse([data])).toEqual(EVENTS);
    for (let i = 0; i <= data.length; ++i) expect(parse([data.slice(0, i), data.slice(i)]), `cut at ${i}`).toEqual(EVENTS);
    expect(parse([...data].map((byte) => new Uint8Array([byte])))).toEqual(EVENTS);
  });
  it("takes CR alone, CR LF and LF as ends of lines", () => {
    for (const end of ["\r", "\n", "\r\n"]) expect(parse([bytes(`data: x${end}${end}data: y${end}${end}`)]).map(({ data }) => data)).toEqual(["x", "y"]);
  });
  it("drops one space after the colon, and no more", () => {
    expect(parse([bytes("data:  two\n\n")])[0]?.data).toBe(" two");
  });
  it("ignores comments, unknown fields and events without data", () => {
    expect(parse([bytes(":ping\nid: 3\nretry: 10\n\nevent: x\n\nnonsense\n\n")])).toEqual([]);
  });
  it("gives the last event although its empty line never came", () => {
    expect(parse([bytes("data: end")])).toEqual([{ event: "message", data: "end" }]);
  });
  it("survives bytes that are not UTF-8", () => {
    expect(parse([new Uint8Array([100, 97, 116, 97, 58, 0xff, 10, 10])])[0]?.data).toBe("\ufffd");
  });
});

describe("readEvents", () => {
  it("reads a body", async () => {
    expect(await all(readEvents(streamOf([bytes(STREAM)])))).toEqual(EVENTS);
  });
});

describe("readJsonLines", () => {
  it("gives the same values wherever the lines are cut", async () => {
    const data = bytes('{"status":"é"}\n\n{"total":5}\r\n{"completed":5}');
    for (let i = 0; i <= data.length; ++i)
      expect(await all(readJsonLines(streamOf([data.slice(0, i), data.slice(i)])))).toEqual([{ status: "é" }, { total: 5 }, { completed: 5 }]);
  });
  it("throws on a line that is not JSON", async () => {
    await expect(all(readJsonLines(streamOf([bytes("<html>\n")])))).rejects.toThrow(SyntaxError);
  });
});
