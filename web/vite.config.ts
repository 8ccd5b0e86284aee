// How the page is built.
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

const SERVER = "http://127.0.0.1:11435";
const ROUTES = ["/v1", "/api", "/health", "/props", "/slots", "/tokenize", "/medlar"];

export default defineConfig({
  plugins: [svelte()],
  build: {
    target: ["chrome111", "firefox114", "safari16.4"],
    // The policy allows no data: URLs, and one file of each kind is quickest from the same machine.
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    modulePreload: false,
    reportCompressedSize: false,
  },
  // `npm run dev` shows the page as it is edited, with a server that runs beside it.
  server: { proxy: Object.fromEntries(ROUTES.map((path) => [path, SERVER])) },
});
