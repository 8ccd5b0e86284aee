// How the page is built and its unit tests run.
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vitest/config";

export default defineConfig({
  plugins: [svelte()],
  build: {
    target: ["chrome111", "firefox114", "safari16.4"],
    // The policy allows no data: URLs for scripts and fonts, and one file of each kind is quickest from this machine.
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    modulePreload: false,
    reportCompressedSize: false,
  },
  server: { proxy: Object.fromEntries(["/v1", "/api", "/health", "/props", "/slots", "/tokenize", "/medlar"].map((path) => [path, "http://127.0.0.1:11435"])) },
  test: { include: ["tests/unit/**/*.test.ts"], environment: "jsdom" },
});
