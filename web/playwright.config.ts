// The page's tests in Chromium, as the system has it: MEDLAR_CHROMIUM, or where packages put it.
import { defineConfig } from "@playwright/test";
import { existsSync } from "node:fs";

const places = [
  process.env.MEDLAR_CHROMIUM ?? "",
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];
const executablePath = places.find((place) => place !== "" && existsSync(place));
if (!executablePath) throw new Error("there is no Chromium: install it, or name it in MEDLAR_CHROMIUM");

export default defineConfig({
  // page: with a mock server; served: with the real one, build/release/medlar or what MEDLAR names.
  projects: [
    { name: "page", testDir: "tests/page" },
    { name: "served", testDir: "tests/served" },
  ],
  outputDir: "test-results",
  fullyParallel: true,
  workers: 2,
  timeout: 60_000,
  expect: { timeout: 20_000 },
  reporter: [[process.stdout.isTTY ? "line" : "dot"]],
  use: {
    browserName: "chromium",
    viewport: { width: 1360, height: 850 },
    permissions: ["clipboard-read", "clipboard-write"],
    // Chromium's own sandbox does not work for root, which containers are.
    launchOptions: { executablePath, args: process.getuid?.() === 0 ? ["--no-sandbox"] : [] },
  },
});
