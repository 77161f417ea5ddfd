// Says what is in an image, as SPDX 2.3 JSON: the Debian packages that files were taken from (the image's own dpkg entries,
// on standard input), the crates that are linked into its program, and what npm put into the page's scripts.
// usage: sbom.mjs NAME IMAGE-ID <STATUS >SBOM
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

const top = fileURLToPath(new URL('..', import.meta.url));
const PROGRAMS = { operator: 'operator', api: 'api', session: 'session-pod' };

/** A package as SPDX has it. Its id is made of its kind, name and version, so that it is the same in every image. */
const entry = ({ kind, name, version, purl, license = 'NOASSERTION', more = {} }) => ({
  SPDXID: `SPDXRef-${kind}-${name}-${version}`.replace(/[^A-Za-z0-9.-]/g, '-'),
  name,
  versionInfo: version,
  downloadLocation: 'NOASSERTION',
  filesAnalyzed: false,
  licenseConcluded: 'NOASSERTION',
  licenseDeclared: license,
  copyrightText: 'NOASSERTION',
  externalRefs: [{ referenceCategory: 'PACKAGE-MANAGER', referenceType: 'purl', referenceLocator: purl }],
  ...more,
});

/** Debian's packages, from entries as in /var/lib/dpkg/status. Their licences are files: usr/share/doc/<name>/copyright. */
function debian(status) {
  const field = (stanza, name) => new RegExp(`^${name}: (.*)$`, 'm').exec(stanza)?.[1];
  return status.split(/\n\n|\n(?=Package: )/).filter((stanza) => field(stanza, 'Package')).map((stanza) => {
    const [name, version, architecture] = ['Package', 'Version', 'Architecture'].map((key) => field(stanza, key));
    const purl = `pkg:deb/debian/${name}@${encodeURIComponent(version)}?arch=${architecture}`;
    return entry({ kind: 'deb', name, version, purl });
  });
}

/**
 * The crates that are linked into a program, as cargo resolves them for this platform, without what only builds or tests. Of the
 * whole workspace, because features that one program asks for are there in all that are built together.
 */
function crates(program) {
  const lock = readFileSync(`${top}/Cargo.lock`, 'utf8');
  const sources = lock.matchAll(/^name = "(.+)"\nversion = "(.+)"\nsource = .*\nchecksum = "(.+)"$/gm);
  const checksums = new Map([...sources].map(([, name, version, checksum]) => [`${name} ${version}`, checksum]));
  const options = ['--locked', '--edges', 'normal,no-proc-macro', '--prefix', 'depth', '--no-dedupe', '--format', ' {p}|{l}'];
  const tree = execFileSync('cargo', ['tree', '--workspace', ...options], { cwd: top, encoding: 'utf8', maxBuffer: 1 << 28 });
  const roots = tree.split(/^0 /m).filter((root) => root.startsWith(`${program} `));
  const lines = roots.flatMap((root) => root.trim().split('\n').map((line) => line.replace(/^\d+ /, '')));
  return [...new Set(lines)].map((line) => {
    const [, name, version, license] = /^(\S+) v(\S+).*\|(.*)$/.exec(line);
    const checksum = checksums.get(`${name} ${version}`);
    return entry({
      kind: 'crate',
      name,
      version,
      purl: `pkg:cargo/${name}@${version}`,
      // Some crates still write a slash, which SPDX does not know.
      license: license.replaceAll('/', ' OR ') || undefined,
      more: checksum && { checksums: [{ algorithm: 'SHA256', checksumValue: checksum }] },
    });
  });
}

/** What npm installs for the page to use; the bundles hold it. */
function npm() {
  const { packages } = JSON.parse(readFileSync(`${top}/session-pod/page/package-lock.json`, 'utf8'));
  return Object.entries(packages).filter(([path, { dev }]) => path && !dev).map(([path, { version, license }]) => {
    const name = path.split('node_modules/').at(-1);
    return entry({ kind: 'npm', name, version, purl: `pkg:npm/${name.replace('@', '%40')}@${version}`, license });
  });
}

const [name, image] = process.argv.slice(2);
if (!PROGRAMS[name] || !image) throw new Error('usage: sbom.mjs operator|api|session IMAGE-ID <STATUS');
const contents = [...debian(await text(process.stdin)), ...crates(PROGRAMS[name]), ...(name === 'session' ? npm() : [])];
const itself = entry({ kind: 'image', name: `whatsapp-operator-${name}`, version: image, purl: `pkg:oci/${name}@sha256%3A${image}`, license: 'Apache-2.0', more: { primaryPackagePurpose: 'CONTAINER' } });
const relation = (from, type) => (to) => ({ spdxElementId: from, relationshipType: type, relatedSpdxElement: to.SPDXID });
console.log(JSON.stringify({
  spdxVersion: 'SPDX-2.3',
  dataLicense: 'CC0-1.0',
  SPDXID: 'SPDXRef-DOCUMENT',
  name: itself.name,
  documentNamespace: `https://whatsapp-operator.dev/sbom/${name}/${image}`,
  creationInfo: { created: new Date().toISOString().replace(/\.\d+/, ''), creators: ['Tool: whatsapp-operator-images-sbom'] },
  packages: [itself, ...contents],
  relationships: [relation('SPDXRef-DOCUMENT', 'DESCRIBES')(itself), ...contents.map(relation(itself.SPDXID, 'CONTAINS'))],
}, undefined, 1));
