// Text files given to a message, and the files the page saves.
import type { Attachment } from "./tree";

export const MOST_BYTES = 2_000_000;

export class FileRefused extends Error {}

export async function readTextFile(file: File): Promise<Attachment> {
  if (file.size > MOST_BYTES) throw new FileRefused(`${file.name} is larger than 2 MB. Attach the part that matters.`);
  const data = new Uint8Array(await file.arrayBuffer());
  if (data.includes(0)) throw new FileRefused(`${file.name} is not a text file. Only text can be attached.`);
  try {
    return { name: file.name, text: new TextDecoder("utf-8", { fatal: true }).decode(data) };
  } catch {
    throw new FileRefused(`${file.name} is not in UTF-8. Convert it, or paste the text.`);
  }
}

// A fence longer than any in the text, so that the file cannot end its own quotation.
export function quoted({ name, text }: Attachment): string {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map((run) => run[0].length));
  const fence = "`".repeat(longest + 1);
  return `File: ${name.replace(/\s+/g, " ")}\n${fence}\n${text.replace(/\n?$/, "\n")}${fence}`;
}

export function withAttachments(content: string, attachments: Attachment[] = []): string {
  return [...attachments.map(quoted), content].filter((part) => part !== "").join("\n\n");
}

export function download(name: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
