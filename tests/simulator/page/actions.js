// What a person, or wa-js for them, does: find a chat, send, edit, mark as read, react, look back in a chat.
'use strict';

(function ({ define }) {
  define('WAWebFindChatAction', (require) => {
    const { ChatCollection } = require('WAWebChatCollection');
    const { lidPnCache } = require('WAWebLidPnCache');

    /** As WhatsApp does since its move to lids: a person's chat under the lid wins over the phone number. */
    function latest(wid) {
      const lid = lidPnCache.getCurrentLid(wid);
      return (lid && ChatCollection.get(lid)) ?? ChatCollection.get(wid);
    }
    return {
      findExistingChat: async (wid) => latest(wid),
      findOrCreateLatestChat: async (wid) => {
        const existing = latest(wid);
        return { chat: { id: (existing ?? require('SimulatorFiling').chatFor(wid)).id }, created: !existing };
      },
    };
  });

  define('WAWebSendMsgChatAction', (require) => ({
    addAndSendMsgToChat: async (chat, attributes) => {
      const msg = require('SimulatorFiling').file(chat.id, { ack: 0, ...attributes });
      return [Promise.resolve(msg), require('SimulatorOutgoing').send(msg)];
    },
  }));
  define('SimulatorOutgoing', (require) => ({
    /** The server's answer makes ack 1; a refusal makes ack -1 and, as in WhatsApp, a promise that resolves. */
    send: async (msg) => {
      try {
        const { timestamp } = await require('SimulatorLink').ask({
          type: 'send',
          message: {
            id: String(msg.id),
            chat: String(msg.id.remote),
            kind: msg.type,
            text: msg.body ?? msg.caption ?? '',
            quotedId: msg.quotedStanzaID ?? null,
          },
        });
        msg.set('ack', 1);
        return { messageSendResult: 'OK', t: timestamp };
      } catch {
        msg.set('ack', -1);
        return { messageSendResult: 'ERROR_UNKNOWN', t: msg.t };
      }
    },
  }));

  define('WAWebSendMessageEditAction', () => ({
    addAndSendMessageEdit: async (msg, edit) => {
      msg.set({ body: edit.body, latestEditMsgKey: edit.latestEditMsgKey });
    },
  }));
  define('WAWebMsgActionCapability', () => ({ canReplyMsg: () => true, canEditText: () => true, canEditMsg: () => true }));
  define('WAWebMsgEditCaption', () => ({ canEditCaption: () => false }));
  define('WAWebGetEphemeralFieldsMsgActionsUtils', () => ({ getEphemeralFields: () => ({}) }));
  define('WAWebUpdateUnreadChatAction', (require) => ({
    markUnread: async (chat) => chat.set('unreadCount', -1),
    sendSeen: async ({ chat }) => {
      chat.set('unreadCount', 0);
      require('SimulatorLink').send({ type: 'read', chat: String(chat.id) });
    },
  }));
  define('WAWebQuotedMsgModelUtils', (require) => ({
    getQuotedMsgObj: (msg) => require('WAWebMsgCollection').MsgCollection.findFirst(({ id }) => id.id === msg.quotedStanzaID),
  }));
  define('WAWebSendReactionMsgAction', () => ({ sendReactionToMsg: async () => ({ messageSendResult: 'OK' }) }));
  define('WAWebPresenceChatAction', () => ({ markComposing: async () => {}, markRecording: async () => {}, markPaused: async () => {} }));
  define('WAWebContactPresenceBridge', () => ({ subscribeUserPresence: async () => {}, subscribeGroupPresence: async () => {} }));

  define('WAWebDBMessageFindLocal', (require) => {
    function find({ anchor, count, direction }) {
      const chat = require('WAWebChatCollection').ChatCollection.get(anchor.remote);
      const messages = (chat?.msgs.getModelsArray() ?? []).sort((a, b) => a.t - b.t);
      const at = messages.findIndex(({ id }) => id.equals(anchor));
      if (at < 0) return [];
      return direction === 'after' ? messages.slice(at + 1, at + 1 + count) : messages.slice(Math.max(0, at - count), at);
    }
    return {
      msgFindByDirection: async (range) => find(range),
      msgFindBefore: async (range) => find({ ...range, direction: 'before' }),
      msgFindAfter: async (range) => find({ ...range, direction: 'after' }),
      msgFindMedia: async (range) => find(range).filter(({ mediaData }) => mediaData),
      msgFindCallLog: async () => [],
    };
  });
  // Looks for a message in the device's database. All of it is in memory here, so there is never more to find.
  define('WAWebChatMessageSearch', (require) => ({
    getSearchContext: (_options) => {
      const { BaseCollection } = require('WAWebBaseCollection');
      const collection = new BaseCollection(require('WAWebMsgModel').Msg);
      return { collection: Object.assign(collection, { loadAroundPromise: Promise.resolve() }) };
    },
  }));
  define('WAWebChatSearchQuery', () => ({
    SearchQuery: class {
      updateLabelQuery() {}
    },
  }));
})(simulator);
