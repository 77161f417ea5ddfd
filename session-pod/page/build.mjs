// Builds dist/: our three scripts as one file each, and wa-js exactly as npm delivered it, with its licences.
// Never minifies ours: what runs in the page of a person's WhatsApp shall be readable there.
import { build } from 'esbuild';
import { copyFile, mkdir, rm } from 'node:fs/promises';

const WA_JS = 'node_modules/@wppconnect/wa-js/dist/wppconnect-wa.js';

const script = (name, extra = {}) =>
  build({
    entryPoints: [`src/${name}.ts`],
    outfile: `dist/${name}.js`,
    bundle: true,
    format: 'iife',
    target: 'chrome120',
    charset: 'utf8',
    logLevel: 'warning',
    ...extra,
  });

await rm('dist', { recursive: true, force: true });
await mkdir('dist');
await Promise.all([
  script('prelude'),
  script('bridge'),
  // The session pod reads the value of this script, so the whole file has to be one expression.
  script('probe', { globalName: 'probe', banner: { js: '(() => {' }, footer: { js: 'return probe.look();\n})()' } }),
  copyFile(WA_JS, 'dist/wa-js.js'),
  copyFile(`${WA_JS}.LICENSE.txt`, 'dist/wa-js.LICENSE.txt'),
]);
