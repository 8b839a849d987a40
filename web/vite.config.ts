import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { brotliCompress, constants } from "node:zlib";

import react from "@vitejs/plugin-react";
import { defineConfig, type HtmlTagDescriptor, type Plugin } from "vite";

// The built app is served by the exchange itself. `npm run dev` asks one that runs beside it.
const EXCHANGE = "http://localhost:8000";
const ASSETS = "assets/";

const brotli = promisify(brotliCompress);

const isMain = (id: string): boolean => id.endsWith("/src/main.tsx");

/** Beside each asset, the same as brotli packs it at its best: too slow for whoever starts the exchange. */
function packed(): Plugin {
  const params = { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY };
  return {
    name: "packed",
    apply: "build",
    async writeBundle({ dir = "" }, bundle) {
      const names = Object.keys(bundle).filter((name) => name.startsWith(ASSETS) && /\.(js|css|svg|json)$/.test(name));
      await Promise.all(
        names.map(async (name) => {
          const path = join(dir, name);
          await writeFile(`${path}.br`, await brotli(await readFile(path), { params }));
        }),
      );
    },
  };
}

/** Has the app itself be loaded beside what paints the first frame (src/boot.ts), and not only after it. */
function appBeside(): Plugin {
  return {
    name: "app-beside",
    apply: "build",
    transformIndexHtml: {
      order: "post",
      handler(_, { bundle = {} }): HtmlTagDescriptor[] {
        const app = Object.values(bundle).find(
          (part) => part.type === "chunk" && isMain(part.facadeModuleId ?? ""),
        );
        if (app === undefined) throw new Error("src/main.tsx is no chunk of its own");
        return [
          {
            tag: "link",
            attrs: { rel: "modulepreload", crossorigin: true, href: `/${app.fileName}` },
            injectTo: "head",
          },
        ];
      },
    },
  };
}

/** What nearly every page shares: in many small chunks it is more bytes, and more requests. */
const SHARED = /[\\/]src[\\/](?:(?:ui|api|stream|agent|wallet|vault)[\\/]|(?:session|router|numbers)\.)/;

type Importers = (id: string) => { importers: readonly string[] } | null;

/** Whether the app can not start without the module: src/main.tsx imports it, by whatever way. */
function isOfApp(id: string, infoOf: Importers, seen = new Set<string>()): boolean {
  if (isMain(id)) return true;
  seen.add(id);
  return (infoOf(id)?.importers ?? []).some((each) => !seen.has(each) && isOfApp(each, infoOf, seen));
}

export default defineConfig({
  plugins: [react(), appBeside(), packed()],
  build: {
    target: "es2023",
    assetsInlineLimit: 0, // the content security policy takes no data: but for images
    modulePreload: { polyfill: false },
    rolldownOptions: {
      output: {
        codeSplitting: {
          groups: [
            { name: "first", tags: ["$initial"], priority: 2 },
            {
              name: (id, context) =>
                SHARED.test(id) && isOfApp(id, (each) => context.getModuleInfo(each)) ? "parts" : null,
              debugName: "parts",
              priority: 1,
            },
          ],
        },
      },
    },
  },
  server: { proxy: { "/v1": { target: EXCHANGE, ws: true } } },
});
