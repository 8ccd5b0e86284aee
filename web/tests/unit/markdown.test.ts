// Markdown becomes HTML that can do nothing.
// @vitest-environment jsdom
import { describe, expect, it } from "vitest";
import { BlockRenderer, renderMarkdown, sanitize, spoken } from "../../src/lib/markdown";

const dom = (html: string): HTMLElement => new DOMParser().parseFromString(html, "text/html").body;

const HOSTILE = [
  "<script>alert(1)</script>",
  "<SCRIPT SRC=//evil.example/x.js></SCRIPT>",
  '<img src=x onerror="alert(1)">',
  "<svg onload=alert(1)><script>alert(1)</script></svg>",
  '<svg><a xlink:href="javascript:alert(1)"><text>x</text></a></svg>',
  '<iframe src="javascript:alert(1)"></iframe>',
  '<iframe srcdoc="<script>alert(1)</script>"></iframe>',
  '<form action="https://evil.example"><input name=a><button>Go</button></form>',
  "<a href=\"javascript:alert(1)\">x</a>",
  "[x](javascript:alert(1))",
  "[x](JaVaScRiPt:alert(1))",
  "[x](&#106;avascript:alert(1))",
  "[x](java\tscript:alert(1))",
  "[x](data:text/html;base64,PHNjcmlwdD4=)",
  "[x](vbscript:msgbox)",
  "[x][1]\n\n[1]: javascript:alert(1)",
  "<javascript:alert(1)>",
  "![x](javascript:alert(1))",
  "![x](https://evil.example/track.png)",
  '![x" onerror="alert(1)](https://evil.example/a.png)',
  '[x](https://ok.example "\\" onmouseover=alert(1) a=\\"")',
  "<style>body{background:url(https://evil.example)}</style>",
  '<div style="background:url(https://evil.example)">x</div>',
  '<link rel=stylesheet href="https://evil.example/a.css">',
  '<meta http-equiv="refresh" content="0;url=https://evil.example">',
  '<base href="https://evil.example/">',
  '<object data="x.swf"></object><embed src="x.swf">',
  '<video src="https://evil.example/v.mp4" autoplay></video>',
  '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=alert(1)&gt;">',
  "<noscript><p title=\"</noscript><img src=x onerror=alert(1)>\">",
  "<template><script>alert(1)</script></template>",
  "```\"><img src=x onerror=alert(1)>\ncode\n```",
  "```html\n<script>alert(1)</script>\n```",
  "`<img src=x onerror=alert(1)>`",
  "| a |\n|---|\n| <img src=x onerror=alert(1)> |",
  "- [ ] <svg/onload=alert(1)>",
  "<b onclick=alert(1)>x</b>",
  "<a id=app name=body href=https://ok.example>x</a>",
  "<br onload=alert(1)><sub onclick=alert(1)>x</sub>",
];

const NEVER = "script,img,svg,math,iframe,form,input,style,link,meta,base,object,embed,video,audio,template,noscript,[style],[id],[name],[src],[srcdoc],[action]";

function expectHarmless(html: string, what: string): void {
  const body = dom(html);
  expect(body.querySelector(NEVER)?.outerHTML, what).toBeUndefined();
  for (const element of body.querySelectorAll("*")) {
    for (const { name } of element.attributes) expect(name.startsWith("on"), `${name} in ${what}`).toBe(false);
    const href = element.getAttribute("href");
    if (href !== null) expect(href, what).toMatch(/^(?:https?:|mailto:)/i);
  }
}

describe("hostile text", () => {
  it.each(HOSTILE)("%s", (text) => {
    expectHarmless(renderMarkdown(text), text);
    // DOMPurify alone would do as well.
    expectHarmless(sanitize(text), text);
  });
  it("stays harmless cut anywhere, as it streams", () => {
    const all = HOSTILE.join("\n\n");
    const renderer = new BlockRenderer();
    for (let end = 1; end <= all.length; end += 7) {
      const html = renderer.render(all.slice(0, end)).map((block) => block.html).join("");
      expectHarmless(html, all.slice(Math.max(0, end - 60), end));
    }
  });
});

describe("markdown", () => {
  it("shows HTML as the text it is", () => {
    expect(dom(renderMarkdown("use <div class='a'> here")).textContent?.trim()).toBe("use <div class='a'> here");
    expect(dom(renderMarkdown("<script>\nx()\n</script>")).textContent).toContain("x()");
  });
  it("keeps breaks, sub and superscripts", () => {
    expect(renderMarkdown("H<sub>2</sub>O<br>x")).toContain("H<sub>2</sub>O<br>x");
  });
  it("opens links in a new tab that knows nothing of this page", () => {
    const link = dom(renderMarkdown("[a](https://example.org/?q=1&b=2)")).querySelector("a");
    expect(link?.getAttribute("href")).toBe("https://example.org/?q=1&b=2");
    expect(link?.target).toBe("_blank");
    expect(link?.rel).toBe("noopener noreferrer nofollow");
  });
  it("links to a picture instead of fetching it", () => {
    const body = dom(renderMarkdown("![a cat](https://example.org/cat.png)"));
    expect(body.querySelector("img")).toBeNull();
    expect(body.querySelector("a")?.textContent).toBe("a cat");
  });
  it("colours code of known languages, and shows others plain", () => {
    expect(renderMarkdown("```python\ndef f(): pass\n```")).toContain("hljs-keyword");
    const plain = dom(renderMarkdown("```brainfuck\n+<>\n```"));
    expect(plain.querySelector("code")?.textContent).toBe("+<>\n");
    expect(plain.querySelector(".code-language")?.textContent).toBe("brainfuck");
  });
  it("keeps the columns of tables where they are set", () => {
    expect(dom(renderMarkdown("| a | b |\n|--|--:|\n| 1 | 2 |")).querySelectorAll('td[align="right"]')).toHaveLength(1);
  });
  it("draws task lists without fields", () => {
    expect(dom(renderMarkdown("- [x] done\n- [ ] open")).textContent?.replace(/\s+/g, " ").trim()).toBe("☑ done ☐ open");
  });
  it("makes only the last block again while text arrives", () => {
    const renderer = new BlockRenderer();
    const before = renderer.render("# One\n\nTwo\n\nThr");
    const after = renderer.render("# One\n\nTwo\n\nThree");
    expect(after[1]).toBe(before[1]);
    expect(after[2]).not.toBe(before[2]);
  });
  it("draws an unfinished code block as code", () => {
    expect(dom(renderMarkdown("text\n\n```js\nconst a = 1;")).querySelector("pre")?.textContent).toContain("const a");
  });
  it("says blocks as a listener wants them", () => {
    const [text, code] = new BlockRenderer().render("A **bold** word.\n\n```js\na\nb\n```");
    expect(spoken(text!)).toBe("A bold word.");
    expect(spoken(code!)).toBe("Code block in js, 2 lines.");
  });
});
