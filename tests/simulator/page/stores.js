// Messages, chats, groups and the other collections wa-js looks for, and the one function that files a message.
'use strict';

(function ({ define }) {
  define('WAWebMsgModel', (require) => {
    class Msg extends require('WAWebBaseModel').BaseModel {
      get sender() {
        return this.author ?? this.from;
      }
      get senderObj() {
        return { isMe: this.id.fromMe, id: this.sender };
      }
      updateAck(ack) {
        this.set('ack', ack);
      }
      msgContextInfo() {
        return { quotedStanzaID: this.id.id, quotedParticipant: this.sender, quotedMsg: { type: this.type, body: this.body } };
      }
    }
    Msg.prototype.proxyName = 'msg';
    return { Msg };
  });
  define('WAWebMsgCollection', (require) => {
    class MsgCollectionImpl extends require('WAWebBaseCollection').BaseCollection {
      async processMultipleMessages(chat, messages) {
        for (const attributes of messages) require('SimulatorFiling').file(chat, attributes);
      }
    }
    return { MsgCollection: new MsgCollectionImpl(require('WAWebMsgModel').Msg), MsgCollectionImpl };
  });

  define('WAWebChatModel', (require) => {
    const { BaseCollection } = require('WAWebBaseCollection');
    class Chat extends require('WAWebBaseModel').BaseModel {
      constructor(attributes) {
        super({
          name: undefined,
          unreadCount: 0,
          t: undefined,
          archive: false,
          pin: 0,
          labels: [],
          active: false,
          lastReceivedKey: undefined,
          pausedTimerId: undefined,
          groupMetadata: undefined,
          contact: undefined,
          ...attributes,
        });
        Object.defineProperties(this, {
          msgs: { value: new BaseCollection(require('WAWebMsgModel').Msg) },
          presence: { value: { hasData: false, chatstate: { t: 0 }, subscribe: async () => {} } },
        });
      }
    }
    Chat.prototype.proxyName = 'chat';
    return { Chat };
  });
  define('WAWebChatCollection', (require) => {
    class ChatCollectionImpl extends require('WAWebBaseCollection').BaseCollection {}
    return { ChatCollection: new ChatCollectionImpl(require('WAWebChatModel').Chat), ChatCollectionImpl };
  });
  define('WAWebNewsletterCollection', (require) => {
    const { BaseCollection } = require('WAWebBaseCollection');
    return { default: new BaseCollection(require('WAWebChatModel').Chat) };
  });
  define('WAWebChatGetters', () => ({
    getShouldAppearInList: () => true,
    getPreviewMessage: () => null,
    getShowChangeNumberNotification: () => false,
    getShouldShowUnreadDivider: () => false,
  }));
  define('WAWebUnreadGetters', () => ({ getHasUnread: (chat) => chat.unreadCount !== 0 }));

  define('WAWebGroupMetadataModel', (require) => {
    class GroupMetadata extends require('WAWebBaseModel').BaseModel {}
    GroupMetadata.prototype.proxyName = 'groupMetadata';
    return { default: GroupMetadata };
  });
  define('WAWebParticipantModel', (require) => {
    class Participant extends require('WAWebBaseModel').BaseModel {}
    Participant.prototype.proxyName = 'participant';
    return { default: Participant };
  });
  define('WAWebGroupMetadataCollection', (require) => {
    class GroupMetadataCollection extends require('WAWebBaseCollection').BaseCollection {
      onParentGroupChange() {}
    }
    return { default: new GroupMetadataCollection(require('WAWebGroupMetadataModel').default) };
  });

  define('WAWebCallModel', (require) => ({ default: class Call extends require('WAWebEventEmitter').default {} }));
  define('WAWebCallCollection', (require) => {
    class CallCollectionImpl extends require('WAWebBaseCollection').BaseCollection {
      processIncomingCall(call) {
        this.add(call);
        return call;
      }
      setActiveCall() {}
    }
    return { CallCollection: new CallCollectionImpl(require('WAWebBaseModel').BaseModel), CallCollectionImpl };
  });

  // Collections that wa-js needs to find and that stay empty here.
  for (const name of ['Presence', 'Label', 'Blocklist', 'ProfilePicThumb', 'Status', 'TextStatus', 'BotProfile', 'MsgInfo', 'Reactions']) {
    define(`WAWeb${name}Collection`, (require) => {
      class Collection extends require('WAWebBaseCollection').BaseCollection {}
      return { [`${name}Collection`]: new Collection(require('WAWebBaseModel').BaseModel) };
    });
  }

  define('SimulatorFiling', (require) => {
    const { Msg } = require('WAWebMsgModel');
    const { Chat } = require('WAWebChatModel');
    const { MsgCollection } = require('WAWebMsgCollection');
    const { ChatCollection } = require('WAWebChatCollection');

    function chatFor(id) {
      if (!ChatCollection.get(id)) ChatCollection.add(new Chat({ id }));
      return ChatCollection.get(id);
    }

    /** Puts a message into its chat and into the store of all messages, where `add` is heard. */
    function file(chatId, attributes) {
      const existing = MsgCollection.get(attributes.id);
      if (existing) return existing;
      const chat = chatFor(chatId);
      const msg = new Msg({ author: undefined, quotedStanzaID: undefined, mediaData: undefined, latestEditMsgKey: undefined, ...attributes });
      msg.collection = MsgCollection;
      chat.set({ t: Math.max(chat.t ?? 0, msg.t), lastReceivedKey: msg.id });
      if (msg.isNewMsg && !msg.id.fromMe) chat.set('unreadCount', chat.unreadCount + 1);
      chat.msgs.add(msg);
      MsgCollection.add(msg);
      return msg;
    }

    return { chatFor, file };
  });
})(simulator);
