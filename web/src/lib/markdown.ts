// Markdown that a model wrote, as HTML that can do nothing. Raw HTML is shown as text, and what remains passes
// DOMPurify with a short list of tags; the page's policy would stop scripts even then.
import DOMPurify, { type Config } from "dompurify";
import hljs from "highlight.js/lib/core";
import bash from "highlight.js/lib/languages/bash";
import c from "highlight.js/lib/languages/c";
import cpp from "highlight.js/lib/languages/cpp";
import css from "highlight.js/lib/languages/css";
import diff from "highlight.js/lib/languages/diff";
import go from "highlight.js/lib/languages/go";
import java from "highlight.js/lib/languages/java";
import javascript from "highlight.js/lib/languages/javascript";
import json from "highlight.js/lib/languages/json";
import markdown from "highlight.js/lib/languages/markdown";
import python from "highlight.js/lib/languages/python";
import rust from "highlight.js/lib/languages/rust";
import sql from "highlight.js/lib/languages/sql";
import swift from "highlight.js/lib/languages/swift";
import typescript from "highlight.js/lib/languages/typescript";
import xml from "highlight.js/lib/languages/xml";
import yaml from "highlight.js/lib/languages/yaml";
import { Marked, type Token, type Tokens } from "marked";

const LANGUAGES = { bash, c, cpp, css, diff, go, java, javascript, json, markdown, python, rust, sql, swift, typescript, xml, yaml };
for (const [name, language] of Object.entries(LANGUAGES)) hljs.registerLanguage(name, language);

// Longer code is shown plain: colouring it would stall the page while it streams.
const MOST_COLOURED = 40_000;

const PURIFY: Config = {
  ALLOWED_TAGS: [
    "a", "blockquote", "br", "button", "code", "del", "div", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "kbd", "li",
    "ol", "p", "pre", "span", "strong", "sub", "sup", "table", "tbody", "td", "th", "thead", "tr", "ul",
  ],
  ALLOWED_ATTR: ["align", "class", "href", "rel", "start", "tabindex", "target", "title", "type"],
  ALLOWED_URI_REGEXP: /^(?:https?:|mailto:)/i,
  // Else DOMPurify holds their values against the expression above.
  ADD_URI_SAFE_ATTR: ["align", "rel", "start", "tabindex", "target", "type"],
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
};

const escapes: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
export const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (c) => escapes[c] as string);

function isSafeLink(href: string): boolean {
  return /^(?:https?:\/\/|mailto:)/i.test(href.trim());
}

function colour(code: string, language: string): string {
  if (code.length > MOST_COLOURED || !hljs.getLanguage(language)) return escapeHtml(code);
  return hljs.highlight(code, { language, ignoreIllegals: true }).value;
}

// Tags without content or effect that models use inside text.
const HARMLESS = /^<\/?(?:br|sub|sup|kbd)\s*\/?>$/i;

const marked = new Marked({
  gfm: true,
  renderer: {
    html: ({ text }: Tokens.HTML | Tokens.Tag) => (HARMLESS.test(text.trim()) ? text : escapeHtml(text)),
    code({ text, lang }: Tokens.Code) {
      const name = (lang ?? "").trim().split(/\s+/)[0] ?? "";
      const label = `<span class="code-language">${escapeHtml(name || "text")}</span>`;
      const copy = '<button type="button" class="code-copy">Copy</button>';
      const code = `<pre tabindex="0"><code>${colour(text, name.toLowerCase())}\n</code></pre>`;
      return `<div class="code"><div class="code-bar">${label}${copy}</div>${code}</div>`;
    },
    link({ href, title, tokens }: Tokens.Link) {
      const text = this.parser.parseInline(tokens);
      if (!isSafeLink(href)) return text;
      const hint = title ? ` title="${escapeHtml(title)}"` : "";
      return `<a href="${escapeHtml(href)}"${hint} target="_blank" rel="noopener noreferrer nofollow">${text}</a>`;
    },
    // Fetching a picture would leave the machine, and tell its owner that somebody reads this.
    image({ href, text }: Tokens.Image) {
      const label = escapeHtml(text || "picture");
      if (!isSafeLink(href)) return label;
      return `<a href="${escapeHtml(href)}" target="_blank" rel="noopener noreferrer nofollow">${label}</a>`;
    },
    checkbox: ({ checked }: Tokens.Checkbox) => (checked ? "☑ " : "☐ "),
    table(token: Tokens.Table) {
      const cell = (part: Tokens.TableCell, tag: string) =>
        `<${tag}${part.align ? ` align="${part.align}"` : ""}>${this.parser.parseInline(part.tokens)}</${tag}>`;
      const row = (cells: Tokens.TableCell[], tag: string) => `<tr>${cells.map((part) => cell(part, tag)).join("")}</tr>`;
      const body = token.rows.map((cells) => row(cells, "td")).join("");
      return `<div class="table" tabindex="0"><table><thead>${row(token.header, "th")}</thead><tbody>${body}</tbody></table></div>`;
    },
  },
});

export const sanitize = (html: string): string => DOMPurify.sanitize(html, { ...PURIFY, RETURN_TRUSTED_TYPE: false });

export interface Block {
  html: string;
  raw: string;
}

// The answer's top-level blocks. While it streams only the last one changes, so only that one is made again.
export class BlockRenderer {
  private known = new Map<string, Block>();

  render(text: string): Block[] {
    const tokens = marked.lexer(text);
    const links = JSON.stringify(tokens.links);
    const next = new Map<string, Block>();
    const blocks = tokens.filter((token) => token.type !== "space" && token.type !== "def").map((token) => {
      const key = links + token.raw;
      const block = next.get(key) ?? this.known.get(key) ?? this.make(token);
      next.set(key, block);
      return block;
    });
    this.known = next;
    return blocks;
  }
  private make(token: Token): Block {
    return { html: sanitize(marked.parser([token])), raw: token.raw };
  }
}

export const renderMarkdown = (text: string): string => new BlockRenderer().render(text).map((block) => block.html).join("");

// What a screen reader is told of a block when it is whole.
export function spoken(block: Block): string {
  const code = /^\s*(```|~~~)\s*(\S*)/.exec(block.raw);
  const lines = block.raw.trim().split("\n").length - 2;
  if (code) return `Code block${code[2] ? ` in ${code[2]}` : ""}, ${lines} ${lines === 1 ? "line" : "lines"}.`;
  const text = new DOMParser().parseFromString(block.html, "text/html").body.textContent;
  return (text ?? "").replace(/\s+/g, " ").trim();
}
