// Ids of persons, groups and messages.
'use strict';

(function ({ define }) {
  const PERSONS = ['c.us', 'lid', 'bot', 'hosted', 'hosted.lid'];

  class Wid {
    constructor(text) {
      const [, user, device, server] = /^([^@]*?)(?::(\d+))?@(.+)$/.exec(text) ?? [];
      if (server === undefined) throw new Error(`wid error: invalid wid ${text}`);
      Object.assign(this, { user, device, server, _serialized: text });
    }

    toString() {
      return this._serialized;
    }
    toJSON() {
      return this._serialized;
    }
    toJid() {
      return this._serialized.replace('@c.us', '@s.whatsapp.net');
    }
    equals(other) {
      return String(other) === this._serialized;
    }
    isUser() {
      return PERSONS.includes(this.server);
    }
    isLid() {
      return this.server === 'lid';
    }
    isGroup() {
      return this.server === 'g.us';
    }
    isBroadcast() {
      return this.server === 'broadcast';
    }
    isNewsletter() {
      return this.server === 'newsletter';
    }
    isBot() {
      return this.server === 'bot';
    }
    isStatus() {
      return this._serialized === 'status@broadcast';
    }
    isPSA() {
      return false;
    }
    isGroupCall() {
      return false;
    }
    isServer() {
      return false;
    }

    static isXWid(server, wid) {
      return new Wid(String(wid)).server === server;
    }
    static isWid(text) {
      return typeof text === 'string' && text.includes('@');
    }
    static isGroup(wid) {
      return String(wid).endsWith('@g.us');
    }
    static isStatus(wid) {
      return String(wid) === 'status@broadcast';
    }
    static isUser(wid) {
      return new Wid(String(wid)).isUser();
    }
  }

  const createWid = (text) => (text instanceof Wid ? text : new Wid(String(text)));

  // Like the real one this class keeps the key's text in a minified property ($1), not in `_serialized`, and wa-js
  // knows it by the words of its error.
  class MsgKey {
    constructor(parts) {
      if (!parts) throw new Error('MsgKey error: obj is null/undefined');
      this.fromMe = parts.fromMe ?? parts.selfDir === 'out';
      this.remote = parts.remote ?? (this.fromMe ? parts.to : parts.from);
      this.id = parts.id;
      this.participant = parts.participant;
      this.$1 = [this.fromMe, this.remote, this.id, ...(this.participant ? [this.participant] : [])].join('_');
    }

    toString() {
      return this.$1;
    }
    equals(other) {
      return String(other) === String(this);
    }
    clone() {
      return new MsgKey(this);
    }

    static fromString(text) {
      const [fromMe, remote, id, participant] = String(text).split('_');
      return new MsgKey({
        fromMe: fromMe === 'true',
        remote: createWid(remote),
        id,
        participant: participant ? createWid(participant) : undefined,
      });
    }
    static async newId() {
      const bytes = crypto.getRandomValues(new Uint8Array(9));
      return `3EB0${[...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`.toUpperCase();
    }
  }

  define('WAWebWid', () => ({ default: Wid }));
  define('WAWebWidFactory', () => ({
    createWid,
    isWidlike: (value) => value instanceof Wid || Boolean(value && typeof value === 'object' && 'user' in value && 'server' in value),
    createWidFromWidLike: (value) => new Wid(value._serialized ?? `${value.user}@${value.server}`),
    createUserWidOrThrow: (user, server = 'c.us') => new Wid(user.includes('@') ? user : `${user}@${server}`),
    asUserWidOrThrow: (wid) => wid,
    toUserLid: (wid) => wid,
  }));
  define('WAWebMsgKey', () => ({ default: MsgKey }));
})(simulator);
