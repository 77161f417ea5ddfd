// The models that say how the page stands: Conn, Socket, Stream, Cmd, and who is logged in.
// They only hold state; `session.js` moves it.
'use strict';

(function ({ define }) {
  define('WAWebConnModel', (require) => {
    const { BaseModel } = require('WAWebBaseModel');
    class ConnImpl extends BaseModel {}
    return { Conn: new ConnImpl({ ref: undefined, connected: false, platform: 'android', pushname: '', wid: undefined }), ConnImpl };
  });

  define('WAWebSocketModel', (require) => {
    const { BaseModel } = require('WAWebBaseModel');
    class SocketModel extends BaseModel {
      logout() {
        require('SimulatorSession').askToLogOut();
      }
      poke() {}
      initConn() {}
    }
    return { Socket: new SocketModel({ state: 'OPENING', stream: 'DISCONNECTED', hasSynced: false }) };
  });

  define('WAWebStreamModel', (require) => {
    const { BaseModel } = require('WAWebBaseModel');
    class StreamModel extends BaseModel {
      markAvailable() {}
      markUnavailable() {}
    }
    return { Stream: new StreamModel({ mode: 'SYNCING', info: 'OPENING', needsUpdate: false, available: true }) };
  });

  define('WAWebCmd', (require) => {
    const EventEmitter = require('WAWebEventEmitter').default;
    class CmdImpl extends EventEmitter {
      isMainLoaded = false;

      refreshQR() {
        require('SimulatorLink').send({ type: 'refreshQr' });
      }
      sendRevokeMsgs(_chat, { list }) {
        for (const msg of list) msg.set('type', 'revoked');
      }
      sendDeleteMsgs(chat, { list }) {
        const { MsgCollection } = require('WAWebMsgCollection');
        for (const msg of list) {
          chat.msgs.remove(msg.id);
          MsgCollection.remove(msg.id);
        }
      }
    }
    return { Cmd: new CmdImpl(), CmdImpl };
  });

  define('WAWebNetworkStatus', (require) => {
    const { BaseModel } = require('WAWebBaseModel');
    class NetworkStatus extends BaseModel {
      checkOnline() {}
    }
    return { default: new NetworkStatus({ online: true }) };
  });

  define('WAWebBackendEventBus', (require) => {
    const EventEmitter = require('WAWebEventEmitter').default;
    return { BackendEventBus: new EventEmitter(), BackendEvent: {} };
  });

  // Who is logged in, as the real page has it in its preferences: known before the server was asked.
  define('SimulatorLogin', (require) => {
    const { createWid } = require('WAWebWidFactory');
    const me = { phone: null, lid: null };
    return {
      me,
      set: (account) => {
        me.phone = account && createWid(account.id);
        me.lid = account?.lid ? createWid(account.lid) : null;
      },
    };
  });
  define('WAWebUserPrefsMultiDevice', (require) => {
    const { me } = require('SimulatorLogin');
    return { isRegistered: () => me.phone !== null, isLoggedIn: () => me.phone !== null };
  });
  define('WAWebUserPrefsMeUser', (require) => {
    const { me } = require('SimulatorLogin');
    return {
      getMaybeMePnUser: () => me.phone,
      getMaybeMeLidUser: () => me.lid,
      getMeLidUserOrThrow: () => {
        if (!me.lid) throw new Error('no lid');
        return me.lid;
      },
      getMePnUserOrThrow_DO_NOT_USE: () => me.phone,
    };
  });

  define('WAWebHistorySyncProgressModel', (require) => ({
    HistorySyncProgressModel: require('WAWebBaseModel').BaseModel,
    getHistorySyncProgressModel: () => ({ realProgress: 100 }),
  }));
})(simulator);
