// What kubectl is told of a WhatsAppConnection that cannot be meant, and of one whose namespace is not its company's.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Connection, fresh, manifest, refusalOf } from './lib/connection.mjs';
import { eventually } from './lib/eventually.mjs';
import { attempt, kubectl } from './lib/kubectl.mjs';

const made = [];
after(() => Promise.all(made.map((connection) => connection.delete())));

test('a resource that breaks a rule is refused, naming the field', async () => {
  assert.equal(await refusalOf(manifest('acme', 'fine')), undefined);
  for (const [field, spec, name = 'wrong'] of [
    ['spec.companyId', { companyId: '-' }],
    ['spec.state', { state: 'Stopped' }],
    ['spec.displayName', { displayName: 'x'.repeat(129) }],
    ['spec.link.phoneNumber', { link: { method: 'PairingCode' } }],
    ['spec.link.phoneNumber', { link: { phoneNumber: '+55 11' } }],
    ['spec.storage.size', { storage: { size: '255Mi' } }],
    ['spec.nodeLoss', { nodeLoss: 'Ignore' }],
    ['metadata.name', {}, 'a.b'],
  ]) {
    const refusal = await refusalOf(manifest('acme', name, spec));
    assert.ok(refusal?.includes(field), `${field} ${JSON.stringify(spec)}: ${refusal}`);
  }
});

test('what must not change is refused when it changes', async () => {
  const connection = await Connection.apply('acme', fresh('schema'), { state: 'Suspended', storage: { size: '1Gi' } });
  made.push(connection);
  for (const [field, spec] of [
    ['spec.companyId', { companyId: 'globex' }],
    ['spec.storage.size', { storage: { size: '512Mi' } }],
    ['spec.storage.storageClassName', { storage: { storageClassName: 'other' } }],
  ]) {
    const patch = ['patch', 'wac', connection.name, '--namespace', connection.namespace, '--type=merge'];
    const { code, stderr } = await attempt([...patch, '--patch', JSON.stringify({ spec })]);
    assert.ok(code !== 0 && stderr.includes(field), `${field}: ${code} ${stderr}`);
  }
});

test('a resource in the namespace of another company is not acted on, and says so', async () => {
  const connection = await Connection.apply('acme', fresh('stranger'), { companyId: 'globex' });
  made.push(connection);
  const refused = ({ Accepted }) => Accepted?.status === 'False' && Accepted.reason === 'CompanyMismatch';
  await eventually('Accepted is False', 20, () => connection.conditions(), refused);
  assert.equal(await connection.pod(), undefined);
});

test('every field of the spec is explained', async () => {
  for (const path of ['wac.spec', 'wac.spec.link', 'wac.spec.storage', 'wac.status']) {
    const text = await kubectl('explain', path);
    const fields = text.split('FIELDS:')[1].split(/\n(?=  \S+\t)/).map((part) => part.trim()).filter(Boolean);
    assert.ok(fields.length > 1);
    for (const field of fields) assert.match(field, /\n\s{4,}\S/, `${path}: ${field.split('\n')[0]} says nothing`);
  }
});
