// Builds the page and writes it as one C++ source: node embed.mjs embed NPM OUT. OUT gets dist/ and page_files.cpp.
// Where the packages cannot be had, page_files.cpp is the page that says so: the program is worth having without.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, statSync, writeFileSync } from "node:fs";
import { dirname, extname, join, posix } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const here = dirname(fileURLToPath(import.meta.url));
const STAMP = join(here, "node_modules", ".medlar-lock");
const LOCK = join(here, "node_modules.lock");
const LOCK_STALE_MS = 10 * 60_000;
const SMALLEST_GZIP = 1024; // bytes; below, compression saves nothing
const BYTES_A_LINE = 32;
const TYPES = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml",
};

function run(command, args) {
  const result = spawnSync(command, args, { cwd: here, encoding: "utf-8", shell: process.platform === "win32" });
  return { ok: result.status === 0, output: `${result.stdout ?? ""}${result.stderr ?? ""}${result.error ?? ""}` };
}

// Several build folders share node_modules: one of them installs, the others wait.
function withLock(work) {
  for (;;) {
    try {
      mkdirSync(LOCK);
      break;
    } catch {
      const age = existsSync(LOCK) ? Date.now() - statSync(LOCK).mtimeMs : 0;
      if (age > LOCK_STALE_MS) rmdirSync(LOCK);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
    }
  }
  try {
    return work();
  } finally {
    rmdirSync(LOCK);
  }
}

// The packages of the lock file, unless they are there. `all`: those of the tests as well.
function install(npm, all = false) {
  return withLock(() => {
    const lock = createHash("sha256").update(readFileSync(join(here, "package-lock.json"))).digest("hex");
    const [have, extent] = existsSync(STAMP) ? readFileSync(STAMP, "utf-8").split(" ") : [];
    if (have === lock && (!all || extent === "all")) return { ok: true, output: "" };
    const result = run(npm, ["ci", "--no-audit", "--no-fund", "--loglevel=error", ...(all ? [] : ["--omit=dev"])]);
    if (result.ok) writeFileSync(STAMP, `${lock} ${all ? "all" : "build"}`);
    return result;
  });
}

function files(folder, path = "") {
  return readdirSync(join(folder, path), { withFileTypes: true }).flatMap((entry) => {
    const name = posix.join(path, entry.name);
    return entry.isDirectory() ? files(folder, name) : [name];
  }).sort();
}

function source(dist) {
  const arrays = [];
  const rows = [];
  for (const name of files(dist)) {
    const plain = readFileSync(join(dist, name));
    const type = TYPES[extname(name)];
    if (!type) throw new Error(`${name}: no content type is known for it`);
    const zipped = gzipSync(plain, { level: 9 });
    const gzip = plain.length >= SMALLEST_GZIP && zipped.length < plain.length;
    const data = gzip ? zipped : plain;
    const etag = createHash("sha256").update(plain).digest("hex").slice(0, 32);
    // Names below assets/ hold a hash of the content.
    const cache = name.startsWith("assets/") ? "public, max-age=31536000, immutable" : "no-cache";
    const lines = [];
    for (let i = 0; i < data.length; i += BYTES_A_LINE) lines.push([...data.subarray(i, i + BYTES_A_LINE)].join(","));
    arrays.push(`// ${name}, ${plain.length} bytes${gzip ? ", compressed" : ""}\nconstexpr unsigned char kFile${rows.length}[] = {\n${lines.join(",\n")}};`);
    rows.push(`    {${JSON.stringify(name === "index.html" ? "/" : `/${name}`)}, ${JSON.stringify(type)}, "${gzip ? "gzip" : ""}", "\\"${etag}\\"", "${cache}", kFile${rows.length}},`);
  }
  return `// The files of the page, written by web/embed.mjs.
#include "web/page.h"

namespace medlar::web {
namespace {

${arrays.join("\n\n")}

constexpr PageFile kFiles[] = {
${rows.join("\n")}
};

}  // namespace

std::span<const PageFile> page_files() { return kFiles; }
bool has_page() { return true; }

}  // namespace medlar::web
`;
}

function embed(npm, out) {
  const target = join(out, "page_files.cpp");
  const installed = install(npm);
  if (installed.output.includes("EUSAGE")) {
    console.error(installed.output); // the lock file and package.json disagree: ours to mend
    return 1;
  }
  if (!installed.ok) {
    console.error(`warning: this build has no page, its packages could not be installed:\n${installed.output}`);
    console.error("Touch web/package-lock.json and build again to have it.");
    copyFileSync(join(here, "no_page.cpp"), target);
    return 0;
  }
  const dist = join(out, "dist");
  const built = run(process.execPath, [join(here, "node_modules", "vite", "bin", "vite.js"), "build", "--outDir", dist, "--emptyOutDir", "--logLevel", "warn"]);
  if (!built.ok) {
    console.error(built.output);
    return 1;
  }
  writeFileSync(target, source(dist));
  return 0;
}

const [command, npm, out] = process.argv.slice(2);
if (command === "install") {
  const { ok, output } = install(npm, true);
  if (!ok) console.error(output);
  process.exitCode = ok ? 0 : 1;
} else if (command === "embed" && out) {
  process.exitCode = embed(npm, out);
} else {
  console.error("usage: node embed.mjs embed NPM OUT | node embed.mjs install NPM");
  process.exitCode = 2;
}
