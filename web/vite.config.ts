import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// The built app is served by the exchange itself. `npm run dev` asks one that runs beside it.
const EXCHANGE = "http://localhost:8000";

export default defineConfig({
  plugins: [react()],
  build: {
    target: "es2023",
    assetsInlineLimit: 0, // the content security policy takes no data: but for images
    modulePreload: { polyfill: false },
  },
  server: { proxy: { "/v1": { target: EXCHANGE, ws: true } } },
});
