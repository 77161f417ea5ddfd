// The life of the page: waiting for a scan or logging in, loading chats, taking what the server says, losing the link.
'use strict';

(function ({ define, plan }) {
  /** WhatsApp shows a word of farewell, then starts over as a page that was never linked. */
  const FAREWELL_MS = 400;
  /** What a message looks like that came before its key did, and how long the key takes. */
  const DECRYPTION_MS = 60;

  define('SimulatorSession', (require) => {
    const { createWid } = require('WAWebWidFactory');
    const { Conn } = require('WAWebConnModel');
    const { Socket } = require('WAWebSocketModel');
    const { Stream } = require('WAWebStreamModel');
    const { Cmd } = require('WAWebCmd');
    const { BackendEventBus } = require('WAWebBackendEventBus');
    const MsgKey = require('WAWebMsgKey').default;
    const { file, chatFor } = require('SimulatorFiling');
    const { encodeB64 } = require('WABase64');
    const keys = require('SimulatorKeys');
    const database = require('SimulatorDatabase');
    const link = require('SimulatorLink');
    const loginState = require('SimulatorLogin');

    let login = null;
    let over = false;

    const on = {
      /** A new code to show. */
      ref({ ref }) {
        Socket.set('state', 'UNPAIRED');
        Stream.set({ mode: 'QR', info: 'PAIRING' });
        Conn.set('ref', ref);
        link.ready();
      },
      /** Too many codes that nobody scanned. */
      idle() {
        Conn.set('ref', undefined);
        Socket.set('state', 'UNPAIRED_IDLE');
      },
      /** A phone has scanned the code. The login is stored before anything else may rely on it. */
      async paired({ login: issued, account }) {
        login = { ...issued, account };
        await database.writeLogin(login);
        loginState.set(account);
        Conn.set({ ref: undefined, connected: true, wid: loginState.me.phone, pushname: account.pushName ?? '' });
        Socket.set('state', 'PAIRING');
        Stream.set({ mode: 'SYNCING', info: 'SYNCING' });
        link.send({ type: 'stored' });
      },
      /** Everything this device is allowed to know already. None of it is new. */
      async sync({ account, chats, messages }) {
        Conn.set({ connected: true, wid: loginState.me.phone, pushname: account.pushName ?? '' });
        if (plan.syncMs) {
          Stream.set({ mode: 'SYNCING', info: 'SYNCING' });
          await new Promise((resolve) => setTimeout(resolve, plan.syncMs));
        }
        for (const chat of chats) on.chat({ chat });
        for (const message of messages) {
          const msg = file(createWid(message.chat), attributes(message, false));
          // Receipts that came while this page was away.
          if (msg.id.fromMe && msg.ack < message.ack) on.receipt({ id: message.id, ack: message.ack });
        }
        for (const { id, unread } of chats) chatFor(createWid(id)).set('unreadCount', unread);
        Socket.set({ state: 'CONNECTED', hasSynced: true });
        if (!Cmd.isMainLoaded) {
          Cmd.isMainLoaded = true;
          Cmd.trigger('main_loaded');
          BackendEventBus.trigger('on_initial_chat_synced');
        }
        Stream.set({ mode: 'MAIN', info: 'NORMAL' });
        BackendEventBus.trigger('main_stream_mode_ready');
        link.ready();
        link.send({ type: 'synced' });
      },
      /** A message that this device has not seen. */
      deliver({ message }) {
        const late = message.lateDecryption && attributes({ ...message, kind: 'ciphertext', text: null }, true);
        const msg = file(createWid(message.chat), late || attributes(message, !message.silent));
        if (late) setTimeout(() => msg.set({ body: message.text, type: message.kind }), DECRYPTION_MS);
        link.send({ type: 'received', id: message.id });
      },
      deliveryEnd() {
        BackendEventBus.trigger('offline_delivery_end');
      },
      chat({ chat }) {
        if (chat.phone && chat.lid) require('WAWebLidPnCache').lidPnCache.learn(chat.lid, `${chat.phone}@c.us`);
        const model = chatFor(createWid(chat.id));
        if (chat.pushName && !chat.participants) model.set('contact', { id: model.id, pushname: chat.pushName });
        if (chat.participants) group(model, chat);
      },
      receipt({ id, ack }) {
        const key = MsgKey.fromString(id);
        const receipt = { ack, ackString: ack === 2 ? 'delivery' : 'read', from: key.remote, externalIds: [key.id], participant: null, recipient: null };
        const handler = key.remote.isGroup() ? ['WAWebHandleGroupReceipt', 'handleGroupSimpleReceipt'] : ['WAWebHandleChatReceipt', 'handleChatSimpleReceipt'];
        void require(handler[0])[handler[1]](receipt);
      },
      /** WhatsApp's word that the code typed into the phone does not count any more. */
      pairingExpired() {
        require('WAWebLinkDeviceEvents').WAWebLinkDeviceEvents.trigger('link_device_events:force_manual_refresh');
      },
      banned({ kind }) {
        if (kind === 'temporary') return BackendEventBus.trigger('account_temporarily_banned');
        Socket.set('state', 'TOS_BLOCK');
        Stream.set({ mode: 'TOS_BLOCK', info: 'OFFLINE' });
      },
      /** An update of WhatsApp: the page loads itself anew without asking. */
      reload() {
        location.reload();
      },
      /** Opened elsewhere: this page gives up. */
      conflict() {
        over = true;
        Socket.set('state', 'CONFLICT');
        Stream.set({ mode: 'CONFLICT', info: 'OFFLINE' });
        link.close();
      },
      /** The phone has unlinked this device, or this device itself has asked for it. */
      async loggedOut({ reason }) {
        over = true;
        await database.deleteLogin();
        require('WAWebLogoutReason').getErrorCodeFromLogoutReason(reason);
        loginState.set(null);
        Conn.set({ connected: false, wid: undefined });
        Socket.set('state', 'UNPAIRED');
        Cmd.trigger('logout');
        setTimeout(() => location.replace('/?post_logout=1'), FAREWELL_MS);
      },
    };

    function group(model, { id, subject, participants }) {
      const { BaseCollection } = require('WAWebBaseCollection');
      const Participant = require('WAWebParticipantModel').default;
      const GroupMetadata = require('WAWebGroupMetadataModel').default;
      const members = new BaseCollection(Participant);
      for (const one of participants) members.add(new Participant({ id: createWid(one), isAdmin: false }));
      members.iAmAdmin = () => true;
      const metadata = new GroupMetadata({ id: createWid(id), subject, participants: members, groupType: 'DEFAULT', stale: false });
      require('WAWebGroupMetadataCollection').default.add(metadata);
      model.set({ groupMetadata: metadata, name: subject });
    }

    /** The key as WhatsApp writes it: behind own group messages stands the own lid, which the server leaves out. */
    function key(id) {
      const parsed = MsgKey.fromString(id);
      if (!parsed.fromMe || !parsed.remote.isGroup()) return parsed;
      return new MsgKey({ fromMe: true, remote: parsed.remote, id: parsed.id, participant: loginState.me.lid });
    }

    /** A message of the server as the attributes of a message model. */
    function attributes(message, isNewMsg) {
      const { me } = loginState;
      const chat = createWid(message.chat);
      const own = chat.isLid() || chat.isGroup() ? me.lid : me.phone;
      return {
        id: key(message.id),
        type: message.kind,
        body: message.text,
        t: message.timestamp,
        from: message.fromMe ? own : chat,
        to: message.fromMe ? chat : own,
        author: message.author ? createWid(message.author) : undefined,
        self: message.fromMe ? 'out' : 'in',
        ack: message.ack,
        notifyName: message.pushName ?? undefined,
        quotedStanzaID: message.quotedId ?? undefined,
        local: false,
        isNewMsg,
      };
    }

    return {
      start: async () => {
        login = await database.readLogin();
        if (login) loginState.set(login.account);
        const { noise, identity, adv } = keys;
        link.start({
          onOpen: (write) => {
            const known = login && { phone: login.phone, device: login.device, key: login.key };
            write({ type: 'hello', login: known, keys: { noise: encodeB64(noise), identity: encodeB64(identity), adv } });
          },
          onMessage: (message) => on[message.type]?.(message),
          onClose: () => {
            if (login && !over) {
              Socket.set('state', 'OPENING');
              Stream.set({ mode: 'OFFLINE', info: 'OFFLINE' });
            }
            return !over;
          },
        });
      },
      askToLogOut: () => link.send({ type: 'logout' }),
    };
  });
})(simulator);
