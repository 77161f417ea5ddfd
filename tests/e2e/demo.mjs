// Tells the story of one connection, with times, and leaves a second one waiting for its phone. Standing on what
// `install` has brought up; `demo` runs both.
import { Connection } from './lib/connection.mjs';
import { eventually } from './lib/eventually.mjs';
import { kubectl } from './lib/kubectl.mjs';
import { scan } from './lib/linked.mjs';
import { Phone } from './lib/phone.mjs';
import { listen } from './lib/realtime.mjs';
import { World } from './lib/world.mjs';

const ANA = '5511955550001@c.us';
const TOKEN_HOURS = 12;

const began = Number(process.env.BEGAN ?? Date.now() / 1000);
const say = (text) => console.log(`${(Date.now() / 1000 - began).toFixed(1).padStart(6)} s  ${text}`);
const show = (text) => console.log(text.trimEnd().replace(/^/gm, '          '));

const world = await World.open();
const api = world.api('acme');
const qrOf = (connection, type) =>
  api.get(`/whatsapp/connections/${connection.id}/qr`, { headers: { accept: type } });

async function apply(name, displayName) {
  const connection = await Connection.apply('acme', name, { displayName });
  say(`WhatsAppConnection ${connection.namespace}/${name} applied; the operator makes its Secret, volume and pod`);
  const code = await eventually('a QR code', 90, () => qrOf(connection, 'text/plain'));
  say('its own Chromium has opened WhatsApp Web (the simulator), and shows this QR code:');
  show(code);
  const waits = ({ Ready }) => Ready?.reason === 'AwaitingQr';
  await eventually('its conditions say so', 15, () => connection.conditions(), waits);
  return connection;
}

const earlier = ['sales', 'support'].map((name) => new Connection('company-acme', name));
for (const connection of earlier) await connection.delete();
for (const connection of earlier) {
  await eventually('what an earlier demo left is gone', 90, () => connection.remains(), (left) => left.length === 0);
}

console.log('\nThe story of one WhatsApp account\n');
const sales = await apply('sales', 'Sales');
const phone = new Phone(world.control, `55119${String(Date.now()).slice(-8)}`);
await scan(api, sales, phone, 'Acme Sales');
say(`the phone +${phone.number} scans it`);
await sales.isReady();
say('Connected:');
show(await kubectl('get', 'wac', '--all-namespaces'));

const socket = await listen(world.url, world.token('acme'), 'acme');
say(`a frontend listens, with socket.io-client as it comes from npm (over ${socket.socket.io.engine.transport.name})`);
const hearsMessage = (text) =>
  socket.hears('new-message', (data) => data.connectionId === sales.id && data.message.text === text);
await phone.receive(ANA, 'Good morning! Do you deliver on Saturdays?', { pushName: 'Ana' });
const { chatId, message } = await hearsMessage('Good morning! Do you deliver on Saturdays?');
say(`new-message: ${message.authorName}: ${message.text}`);

const answer = await api.post(`/whatsapp/chats/${chatId}/messages`, { text: 'Good morning, Ana. Yes, until noon.' });
say(`POST /whatsapp/chats/{id}/messages: ${answer.status}`);
const hearsStatus = (status) =>
  socket.hears('message-status', (data) => data.messageId === answer.id && data.status === status);
await hearsStatus('sent');
say('message-status: sent');
for (const [ack, status] of [[2, 'delivered'], [3, 'read']]) {
  await phone.acknowledge(answer.waId, ack);
  await hearsStatus(status);
  say(`message-status: ${status}`);
}

const pages = await phone.pages();
await kubectl('delete', 'pod', 'sales', '--namespace', sales.namespace, '--force', '--grace-period=0');
const killed = Date.now();
say('the pod is killed');
await phone.isGone(pages);
await phone.receive(ANA, 'And on Sundays?', { pushName: 'Ana' });
say('Ana writes while nobody is there');
await hearsMessage('And on Sundays?');
say(`new-message: Ana: And on Sundays?  (${((Date.now() - killed) / 1000).toFixed(1)} s after the kill, without a new QR code)`);
await sales.isReady();
socket.close();

console.log('\nA second connection, for you\n');
const support = await apply('support', 'Support');
world.close();

const url = process.env.DEMO_API ?? world.url;
const phones = process.env.DEMO_PHONES ?? world.control;
console.log(`
It waits to be scanned: press "Scan" at the phones' page below, or take the first command. The code changes every 20 s.

The cluster   export KUBECONFIG=${process.env.KUBECONFIG} PATH="${process.env.PATH.split(':')[0]}:$PATH"
The API       export API=${url}
A token       export TOKEN=${world.token('acme', { seconds: TOKEN_HOURS * 3600 })}
              (of company acme, for ${TOKEN_HOURS} hours; paste these three lines)
The phones    ${phones}/

kubectl get wac -A
${await kubectl('get', 'wac', '--all-namespaces')}
Three things to try:

  # scan the waiting code as a phone would
  curl -s -H "Authorization: Bearer $TOKEN" $API/whatsapp/connections/${support.id}/qr |
    jq '{qr: .code, phone: "5511988887777"}' | curl -s --json @- ${phones}/scan && kubectl get wac -A -w

  # the conversation of the story, as a frontend gets it
  curl -s -H "Authorization: Bearer $TOKEN" $API/whatsapp/chats/${chatId}/messages | jq -r '.items[] | "\\(.status)\\t\\(.text)"'

  # kill a session, and watch it come back without a QR code
  kubectl -n company-acme delete pod sales --force; kubectl -n company-acme get wac sales -w

make demo-down ends everything.`);
