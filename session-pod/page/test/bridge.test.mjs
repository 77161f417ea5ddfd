// The bridge in a real Chromium, on the real wa-js, against the simulator: the whole life of a session, and one test for
// each way in which wa-js or WhatsApp misleads. The tests of a life build on each other and run in order.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { directory, Session, startBrowser, startSimulator, until } from './browser.mjs';

const PHONE = '5511999999999';
const ME = `${PHONE}@c.us`;
const ANA = '5511888888888@c.us';
const BEN = '5511777777777@c.us';
const LID = '120000000000002@lid';
const GROUP = '120363000000000001@g.us';
const NOT_ON_WHATSAPP = '5511666660000@c.us';
const REFUSES = '5511666660009@c.us';

let keys = 0;
/** An id as the API chooses it. */
const ownId = (chat) => `true_${chat}_3EB0${String(++keys).padStart(18, '0')}`;

/** Things to undo when a describe block ends, the last first. */
function undoing() {
  const undos = [];
  after(async () => {
    for (const undo of undos.reverse()) await undo();
  });
  return { after: (undo) => undos.push(undo) };
}

describe('a life', () => {
  const t = undoing();
  let simulator, profile, browser, session, account;

  const incoming = async (body) => (await simulator.post(`/accounts/${PHONE}/messages`, body)).id;
  const sent = async (id) => (await simulator.get(`/accounts/${PHONE}/sent`)).filter((one) => one.id === id);
  const receipt = (id, ack) => simulator.post(`/accounts/${PHONE}/acks`, { id, ack });
  const chat = async (id) => (await session.call('chats', { limit: 100, groups: true })).chats.find((one) => one.id === id);
  const sendText = (chatId, text, id = ownId(chatId)) => session.call('sendText', { id, chat: chatId, text });

  before(async () => {
    simulator = await startSimulator(t);
    profile = await directory(t);
    browser = await startBrowser(t, simulator, profile);
    session = await Session.open(browser, { path: '/?pause=250' });
  });

  test('the probe names what is missing until WhatsApp has loaded', async () => {
    // A page that never loads anything is the early one: the real one may be done before it can be asked.
    const blank = await session.page.browser().newPage();
    const early = await session.probe(blank);
    await blank.close();
    assert.ok(early.missing.includes('WAWebStreamModel'), JSON.stringify(early));
    const late = await until('the modules', async () => {
      const seen = await session.probe();
      return seen.missing.length === 0 && seen;
    });
    assert.ok(late.modules > early.modules);
  });

  test('on the QR page wa-js is ready and main_ready, and nobody is logged in', async () => {
    await session.inject();
    const ready = await session.event('ready');
    assert.equal(ready.waJs, '4.6.0');
    assert.match(ready.whatsappWeb, /^2\.3000\./);
    const { code } = await session.event('qr');
    assert.equal(code.split(',').length, 4);
    const now = await session.call('state');
    assert.deepEqual(now.stream, { mode: 'QR', info: 'PAIRING', authenticated: false, account: null });
    assert.equal(now.qr, code);
    assert.equal(now.ready, true);
    assert.equal(now.lastEvent, session.events.at(-1).n);
    assert.equal(now.newest, null);
    assert.deepEqual([now.life, ...new Set(session.events.map(({ life }) => life))], [1, 1]);
    assert.equal(await session.failure('chats', { limit: 10, groups: false }), 'not_ready');
    assert.equal(await session.failure('logout'), 'not_ready');
  });

  test('a refreshed QR code is another one and is told as an event too', async () => {
    session.mark();
    const { code } = await session.call('refreshQr');
    assert.equal((await session.event('qr')).code, code);
  });

  test('a scan leads to MAIN, authenticated, with the account', async () => {
    const { qr } = await session.call('state');
    session.mark();
    await simulator.post('/scan', { qr, phone: PHONE, pushName: 'Acme' });
    ({ account } = await session.event('stream', ({ mode, info }) => mode === 'MAIN' && info === 'NORMAL'));
    assert.equal(account.id, ME);
    assert.match(account.lid, /^\d+@lid$/);
    assert.equal(account.pushName, 'Acme');
    assert.equal((await session.event('qr')).code, null);
    await session.event('backend', ({ name }) => name === 'offline_delivery_end');
    assert.ok(!session.all('backend').some(({ name }) => name === 'main_stream_mode_ready'), 'only signals of the list');
  });

  test('a message comes in: whole, once, with its chat', async () => {
    session.mark();
    const id = await incoming({ chat: ANA, text: 'hello', pushName: 'Ana' });
    const { message } = await session.event('message');
    assert.equal(typeof message.timestamp, 'number');
    assert.deepEqual(
      { ...message, timestamp: 0 },
      { id, chat: ANA, from: ANA, author: null, fromMe: false, type: 'chat', text: 'hello', timestamp: 0, ack: 1, pushName: 'Ana', quotedId: null },
    );
    const seen = (await session.event('chat', (body) => body.chat.unread === 1)).chat;
    assert.deepEqual(seen, { id: ANA, name: 'Ana', isGroup: false, unread: 1, timestamp: message.timestamp, phone: '5511888888888', lid: null });
    assert.equal(session.all('message').length, 1);
    assert.deepEqual((await session.call('state')).newest, { id, timestamp: message.timestamp });
  });

  test('a group message has its author, and its chat is the group', async () => {
    session.mark();
    await simulator.post(`/accounts/${PHONE}/groups`, { id: GROUP, subject: 'Sales', participants: [ANA, ME] });
    const id = await incoming({ chat: GROUP, author: ANA, text: 'hi all' });
    const { message } = await session.event('message');
    assert.deepEqual([message.id, message.chat, message.author], [id, GROUP, ANA]);
    assert.equal((await session.event('chat', (body) => body.chat.unread === 1)).chat.name, 'Sales');
  });

  test('what the phone itself writes belongs to the chat it was written in, not to our own id', async () => {
    session.mark();
    for (const to of [BEN, GROUP]) await incoming({ chat: to, text: 'from my phone', fromMe: true });
    await session.event('message', ({ message }) => message.chat === GROUP);
    assert.deepEqual(session.all('message').map(({ message }) => [message.chat, message.fromMe]), [[BEN, true], [GROUP, true]]);
  });

  test('the digits of a lid are no phone number; the number appears when WhatsApp tells it', async () => {
    await incoming({ chat: LID, text: 'who am I?', pushName: 'Cleo' });
    await session.event('message', ({ message }) => message.chat === LID);
    assert.deepEqual([(await chat(LID)).phone, (await chat(LID)).lid], [null, LID]);
    await incoming({ chat: LID, text: 'this is my number', phone: '5511555555555' });
    await session.event('message', ({ message }) => message.text === 'this is my number');
    assert.equal((await chat(LID)).phone, '5511555555555');
  });

  test('a message that is decrypted late is told once, when it can be read', async () => {
    session.mark();
    const id = await incoming({ chat: ANA, text: 'took a while', lateDecryption: true });
    const { message } = await session.event('message');
    assert.deepEqual([message.id, message.type, message.text], [id, 'chat', 'took a while']);
    await incoming({ chat: ANA, text: 'next' });
    await session.event('message', (body) => body.message.text === 'next');
    assert.equal(session.all('message').length, 2);
  });

  test('a send: its chosen id everywhere, acks 1, 2 and 3 as events, the chat not marked as read', async () => {
    session.mark();
    const id = ownId(ANA);
    const { unread } = await chat(ANA);
    const result = await sendText(ANA, 'see https://example.com/private', id);
    assert.equal(result.id, id);
    const { message } = await session.event('message');
    assert.deepEqual([message.id, message.fromMe, message.chat, message.from], [id, true, ANA, ME]);
    assert.deepEqual(await session.event('ack'), { id, chat: ANA, ack: 1 });
    for (const ack of [2, 3]) {
      await receipt(id, ack);
      await session.event('ack', (body) => body.id === id && body.ack === ack);
    }
    assert.deepEqual(session.all('ack').map(({ ack }) => ack), [1, 2, 3]);
    assert.deepEqual(await session.call('hasMessage', { id }), { exists: true, ack: 3, id });
    assert.equal((await sent(id))[0].text, 'see https://example.com/private');
    assert.equal((await chat(ANA)).unread, unread);
  });

  test('a send into a group keeps the id that was chosen, though WhatsApp writes our lid behind it', async () => {
    session.mark();
    const id = ownId(GROUP);
    assert.equal((await sendText(GROUP, 'hello @5511888888888', id)).id, id);
    assert.equal((await session.event('message')).message.id, id);
    assert.equal((await session.event('ack')).id, id);
    assert.equal((await session.call('hasMessage', { id })).exists, true);
    const inside = await session.page.evaluate((key) => WPP.whatsapp.MsgStore.getModelsArray().map((m) => String(m.id)).find((i) => i.includes(key)), id);
    assert.equal(inside, `${id}_${account.lid}`);
    await receipt(id, 3);
    await session.event('ack', (body) => body.id === id && body.ack === 3);
  });

  test('one id is one send, however often and however fast it is asked for', async () => {
    const id = ownId(ANA);
    const [one, two] = await Promise.all([sendText(ANA, 'once', id), sendText(ANA, 'once', id)]);
    assert.deepEqual([one.id, two.id], [id, id]);
    await session.event('ack', (body) => body.id === id);
    assert.equal((await sendText(ANA, 'once', id)).id, id);
    assert.equal((await sent(id)).length, 1);
    // Without the bridge it would be two; this is what the simulator shows then.
    const twice = ownId(ANA);
    for (let i = 0; i < 2; i += 1) {
      await session.page.evaluate((chatId, messageId) => WPP.chat.sendTextMessage(chatId, 'twice', { messageId, linkPreview: false }), ANA, twice);
    }
    assert.equal((await sent(twice)).length, 2);
  });

  test('a person with two addresses: the send goes to the chat WhatsApp has, and is found under the id that was asked for', async () => {
    session.mark();
    const asked = ownId('5511555555555@c.us');
    const { id } = await sendText('5511555555555@c.us', 'to your number', asked);
    assert.equal(id, asked.replace('5511555555555@c.us', LID));
    await session.event('ack', (body) => body.id === id && body.ack === 1);
    assert.deepEqual(await session.call('hasMessage', { id: asked }), { exists: true, ack: 1, id });
    assert.equal((await sendText('5511555555555@c.us', 'to your number', asked)).id, id);
    assert.equal((await sent(id)).length, 1);

    // As long as the device cannot connect the two addresses, the key tells.
    await session.page.evaluate(() => {
      const cache = WPP.whatsapp.lidPnCache;
      const { getCurrentLid } = cache;
      window.remember = () => Object.assign(cache, { getCurrentLid });
      cache.getCurrentLid = () => undefined;
    });
    assert.deepEqual(await session.call('hasMessage', { id: asked }), { exists: true, ack: 1, id });
    assert.equal((await sendText('5511555555555@c.us', 'to your number', asked)).id, id);
    await session.page.evaluate(() => void window.remember());
    assert.equal((await sent(id)).length, 1);
  });

  test('unread counts of two chats that change together both arrive', async () => {
    session.mark();
    const before = { [ANA]: (await chat(ANA)).unread, [BEN]: (await chat(BEN)).unread };
    await Promise.all([incoming({ chat: ANA, text: 'a' }), incoming({ chat: BEN, text: 'b' })]);
    for (const id of [ANA, BEN]) await session.event('chat', (body) => body.chat.id === id && body.chat.unread === before[id] + 1);
  });

  test('a refused send is reported as ack -1 and does not hang', async () => {
    session.mark();
    const id = ownId(REFUSES);
    const answer = await session.answer('sendText', { id, chat: REFUSES, text: 'no' });
    assert.ok(answer.ok || answer.error.code === 'send_failed', JSON.stringify(answer));
    await session.event('ack', (body) => body.id === id && body.ack === -1);
  });

  test('a number that is not on WhatsApp is refused, and no chat with it appears', async () => {
    assert.deepEqual(await session.call('queryExists', { id: '5511444444444@c.us' }), { exists: true, id: '5511444444444@c.us' });
    assert.deepEqual(await session.call('queryExists', { id: NOT_ON_WHATSAPP }), { exists: false, id: null });
    const id = ownId(NOT_ON_WHATSAPP);
    assert.equal(await session.failure('sendText', { id, chat: NOT_ON_WHATSAPP, text: 'anyone?' }), 'not_on_whatsapp');
    assert.equal(await chat(NOT_ON_WHATSAPP), undefined);
    assert.equal(await session.failure('sendText', { id: ownId('120363000000000009@g.us'), chat: '120363000000000009@g.us', text: 'x' }), 'not_found');
  });

  test('whatever goes wrong is an answer with a code, never a rejection', async () => {
    for (const [code, method, args] of [
      ['internal', 'nothing', {}],
      ['internal', 'constructor', {}],
      ['internal', 'chats', { limit: 0, groups: false }],
      ['invalid_id', 'sendText', { id: 'x', chat: ANA, text: 'x' }],
      ['invalid_id', 'sendText', { id: ownId(BEN), chat: ANA, text: 'x' }],
      ['invalid_id', 'sendText', { id: ownId(ANA).replace('true', 'false'), chat: ANA, text: 'x' }],
      ['invalid_id', 'sendText', {}],
      ['internal', 'sendText', { id: ownId(ANA), chat: ANA, text: '' }],
      ['invalid_id', 'hasMessage', { id: 'true_nobody_3EB0' }],
      ['invalid_id', 'queryExists', { id: 'status@broadcast' }],
      ['invalid_id', 'queryExists', { id: GROUP }],
      ['invalid_id', 'startPairing', { phone: '+1' }],
      ['not_ready', 'startPairing', { phone: PHONE }],
      ['not_found', 'messages', { chat: '5511333333333@c.us', limit: 5, before: null }],
      ['not_found', 'messages', { chat: ANA, limit: 5, before: ownId(ANA) }],
      ['gone', 'resume', { after: 1_000_000 }],
    ]) {
      assert.equal(await session.failure(method, args), code, `${method} ${JSON.stringify(args)}`);
    }
    for (const text of ['{', 'null', '"x"']) {
      const answer = await session.page.evaluate((json) => window.sessionBridge.call('state', json), text);
      assert.equal(JSON.parse(answer).error.code, 'internal');
    }
    // wa-js throws bare strings in places: they come out as text, not as undefined.
    const answer = await session.page.evaluate(async () => {
      const real = WPP.chat;
      const failing = () => {
        throw 'a bare string';
      };
      Object.defineProperty(WPP, 'chat', { configurable: true, value: { ...real, list: failing } });
      const text = await window.sessionBridge.call('chats', '{"limit":1,"groups":true}');
      Object.defineProperty(WPP, 'chat', { configurable: true, value: real });
      return text;
    });
    assert.deepEqual(JSON.parse(answer), { error: { code: 'internal', message: 'a bare string' } });
  });

  test('chats newest first, groups only when asked for; messages oldest first, in pages', async () => {
    const { chats } = await session.call('chats', { limit: 100, groups: true });
    assert.ok(chats.some(({ isGroup }) => isGroup));
    assert.deepEqual(chats.map(({ timestamp }) => timestamp), chats.map(({ timestamp }) => timestamp).sort((a, b) => b - a));
    const people = (await session.call('chats', { limit: 2, groups: false })).chats;
    assert.equal(people.length, 2);
    assert.ok(!people.some(({ isGroup }) => isGroup));

    const EVA = '5511222222222@c.us';
    session.mark();
    for (const text of ['1', '2', '3', '4', '5']) await incoming({ chat: EVA, text });
    await session.event('message', ({ message }) => message.text === '5');
    const texts = async (limit, before) => (await session.call('messages', { chat: EVA, limit, before })).messages;
    const last = await texts(2, null);
    assert.deepEqual(last.map(({ text }) => text), ['4', '5']);
    assert.deepEqual((await texts(1, null)).map(({ text }) => text), ['5']);
    assert.deepEqual((await texts(10, last[0].id)).map(({ text }) => text), ['1', '2', '3']);

    // With all but the first and the last as notices, which are no messages: what is left out ends nothing.
    const real = await session.page.evaluateHandle(() => WPP.chat);
    await session.page.evaluate((chat) => {
      const notice = (msg) => (['1', '5'].includes(msg.body) ? msg : new Proxy(msg, { get: (it, key) => (key === 'type' ? 'gp2' : it[key]) }));
      const getMessages = async (...args) => (await chat.getMessages(...args)).map(notice);
      Object.defineProperty(WPP, 'chat', { configurable: true, value: { ...chat, getMessages } });
    }, real);
    const newest = await session.call('messages', { chat: EVA, limit: 2, before: null });
    assert.deepEqual([newest.messages.map(({ text }) => text), newest.more], [['5'], true]);
    const oldest = await session.call('messages', { chat: EVA, limit: 2, before: newest.messages[0].id });
    assert.deepEqual(oldest.messages.map(({ text }) => text), ['1']);
    assert.equal((await session.call('messages', { chat: EVA, limit: 10, before: null })).more, false);
    await session.page.evaluate((chat) => Object.defineProperty(WPP, 'chat', { configurable: true, value: chat }), real);
  });

  test('a second injection changes nothing', async () => {
    await session.page.evaluate(() => (window.first = [window.WPP, window.sessionBridge]));
    await session.inject();
    assert.ok(await session.page.evaluate(() => window.first[0] === window.WPP && window.first[1] === window.sessionBridge));
    session.mark();
    await incoming({ chat: ANA, text: 'still one' });
    await session.event('chat');
    assert.equal(session.all('message').length, 1);
  });

  test('events are numbered without a gap, and can be read again', async () => {
    const { lastEvent } = await session.call('state');
    const { events } = await session.call('resume', { after: 0 });
    assert.deepEqual(events.map(({ n }) => n), Array.from({ length: lastEvent }, (_, i) => i + 1));
    assert.deepEqual((await session.call('resume', { after: lastEvent - 1 })).events, [events.at(-1)]);
    assert.deepEqual((await session.call('resume', { after: lastEvent })).events, []);
  });

  test('offline: the stream says so, reads go on, sends and questions are refused at once; then it comes back with what was missed', async () => {
    const inGroup = ownId(GROUP);
    await sendText(GROUP, 'before the break', inGroup);
    await session.event('ack', (body) => body.id === inGroup);
    session.mark();
    await simulator.post(`/accounts/${PHONE}/disconnect`);
    await session.event('stream', ({ mode, info }) => mode === 'OFFLINE' && info === 'OFFLINE');
    assert.ok((await session.call('chats', { limit: 10, groups: false })).chats.length > 0);
    assert.equal((await session.call('hasMessage', { id: ownId(ANA) })).exists, false);
    const begun = Date.now();
    assert.equal(await session.failure('sendText', { id: ownId(ANA), chat: ANA, text: 'now?' }), 'not_ready');
    assert.equal(await session.failure('queryExists', { id: '5511111111111@c.us' }), 'not_ready');
    assert.ok(Date.now() - begun < 1000);
    const id = await incoming({ chat: ANA, text: 'meanwhile' });
    await receipt(inGroup, 3);
    await simulator.post(`/accounts/${PHONE}/reconnect`);
    await session.event('stream', ({ mode, info }) => mode === 'MAIN' && info === 'NORMAL');
    await session.event('message', ({ message }) => message.id === id);
    assert.equal(session.all('message').length, 1, 'what was known before is not new');
    assert.equal((await session.event('ack', (body) => body.id === inGroup)).ack, 3);
    const { messages } = await session.call('messages', { chat: GROUP, limit: 100, before: null });
    assert.equal(messages.filter((one) => one.id === inGroup).length, 1);
  });

  test('opened elsewhere: CONFLICT, and no fight for the session', async () => {
    session.mark();
    await simulator.post(`/accounts/${PHONE}/conflict`);
    await session.event('stream', ({ mode }) => mode === 'CONFLICT');
    assert.equal(await session.failure('sendText', { id: ownId(ANA), chat: ANA, text: 'x' }), 'not_ready');
    assert.deepEqual(await simulator.get('/pages'), []);
  });

  test('loaded while WhatsApp cannot be reached: that is a state of the stream and not an outdated page', async () => {
    await simulator.post(`/accounts/${PHONE}/disconnect`);
    await session.page.close();
    session = await Session.open(browser, { before: session, options: { patienceMs: 2500 } });
    await session.inject();
    const injected = Date.now();
    assert.equal((await session.event('stream', ({ mode }) => mode === 'OFFLINE')).authenticated, true);
    await until('the time to be over', () => Date.now() - injected > 2700);
    assert.deepEqual(session.all('outdated'), []);
    assert.equal(await session.failure('hasMessage', { id: ownId(ANA) }), 'not_ready', 'empty stores know nothing');
    await simulator.post(`/accounts/${PHONE}/reconnect`);
    await session.event('ready');
    await session.event('stream', ({ mode, info }) => mode === 'MAIN' && info === 'NORMAL');
  });

  test('after a restart of the browser: logged in without a QR code, and what came meanwhile is told though it came before the bridge', async () => {
    await browser.close();
    const id = await incoming({ chat: ANA, text: 'while you were away', pushName: 'Ana' });
    browser = await startBrowser(t, simulator, profile);
    session = await Session.open(browser, { before: session });
    await session.page.waitForFunction(
      (key) => {
        try {
          return Boolean(require('WAWebMsgCollection').MsgCollection.get(key));
        } catch {
          return false;
        }
      },
      { timeout: 10_000 },
      id,
    );
    await session.inject();
    const stream = await session.event('stream', ({ mode, info }) => mode === 'MAIN' && info === 'NORMAL');
    assert.deepEqual([stream.authenticated, stream.account], [true, account]);
    await session.event('ready');
    const { message } = await session.event('message');
    assert.deepEqual([message.id, message.text], [id, 'while you were away']);
    assert.equal(session.all('message').length, 1, 'history is not new');
    assert.deepEqual(session.all('qr'), []);
    assert.ok((await session.call('messages', { chat: ANA, limit: 100, before: null })).messages.length > 5);
  });

  test('a logout by the session: told with its reason, the page starts over with a QR code, the login is gone', async () => {
    session.mark();
    await session.answer('logout').catch(() => 'the page may be gone before it answers');
    assert.equal((await session.event('logout')).reason, 'user_initiated');
    await until('the page to start over', async () => (await simulator.get('/pages')).some(({ qr }) => qr));
    session.mark();
    await session.inject();
    await session.event('qr', ({ code }) => code);
    assert.equal((await session.call('state')).stream.authenticated, false);
  });

  test('a logout by the phone', async () => {
    const { qr } = await session.call('state');
    await simulator.post('/scan', { qr, phone: PHONE });
    await session.event('stream', ({ mode, info }) => mode === 'MAIN' && info === 'NORMAL');
    session.mark();
    await simulator.post(`/accounts/${PHONE}/logout`, { reason: 'account_locked' });
    assert.equal((await session.event('logout')).reason, 'account_locked');
    assert.equal((await session.event('stream', ({ authenticated }) => !authenticated)).account, null);
  });

  test('nothing left the page for anywhere but WhatsApp, and wa-js missed no module', () => {
    const elsewhere = session.requests.filter((url) => !url.startsWith('https://web.whatsapp.com/') && !url.startsWith('data:'));
    assert.deepEqual(elsewhere, []);
    assert.deepEqual(session.problems, []);
  });
});

describe('waiting for a phone', () => {
  const t = undoing();

  test('QR codes run out, are refreshed, and a pairing code links as well', async () => {
    const simulator = await startSimulator(t, '--qr-seconds', '5', '--qr-codes', '2');
    const session = await Session.open(await startBrowser(t, simulator, await directory(t)));
    await session.inject();
    await session.event('qrIdle', undefined, 20_000);
    // wa-js tells of the two one after the other.
    await until('the last code to be gone', () => session.all('qr').at(-1).code === null);
    assert.equal((await session.call('state')).qr, null);
    session.mark();
    const { code } = await session.call('refreshQr');
    assert.ok(code);

    const pairing = await session.call('startPairing', { phone: PHONE });
    assert.match(pairing.code, /^[0-9A-Z]{8}$/);
    assert.equal((await session.event('pairingCode')).code, pairing.code);
    await simulator.post('/pair', { phone: PHONE, code: pairing.code });
    const { account } = await session.event('stream', ({ mode, info }) => mode === 'MAIN' && info === 'NORMAL');
    assert.equal(account.id, ME);
  });
});

describe('a page that wa-js does not know', () => {
  const t = undoing();

  test('is reported as outdated, with what is missing', async () => {
    const simulator = await startSimulator(t);
    const browser = await startBrowser(t, simulator, await directory(t));
    const session = await Session.open(browser, { path: '/?pause=100000', options: { patienceMs: 1000 } });
    await session.injectNow();
    const { missing, waJs } = await session.event('outdated');
    assert.equal(waJs, '4.6.0');
    assert.ok(missing.includes('WAWebStreamModel') && missing.includes('WPP.whatsapp.MsgStore'), missing.join(' '));
    assert.equal(await session.failure('sendText', { id: ownId(ANA), chat: ANA, text: 'x' }), 'not_ready');
    assert.equal((await session.call('state')).stream, null);
  });
});
