import { defineConfig } from "vite";

export default defineConfig({
  // Relative addresses: the page also works below a path of a reverse proxy.
  base: "./",
  build: {
    outDir: "../src/ticktrail/dashboard/page",
    emptyOutDir: true,
    target: "es2022",
    // Data URLs would need `img-src data:` in the policy that the server sends.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // Sizes are read compressed, in the report that the build prints.
    chunkSizeWarningLimit: 1000,
  },
  server: {
    // `npm run dev` beside a running `ticktrail serve`.
    proxy: { "/api": { target: "http://127.0.0.1:8765", ws: true } },
  },
});
