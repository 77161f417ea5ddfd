// Versions, enumerations and the small pure functions beside them.
'use strict';

(function ({ define }) {
  const VERSION = '2.3000.1048032155';
  const same = (words) => Object.fromEntries(words.split(' ').map((word) => [word, word]));

  define('WAWebBuildConstants', () => ({
    SANITIZED_VERSION_STR: VERSION,
    VERSION_STR: VERSION,
    VERSION_BASE: VERSION,
    VERSION_PRIMARY: '2',
    VERSION_SECONDARY: '3000',
    VERSION_TERTIARY: '1048032155',
  }));
  define('WAWebAck', () => ({
    ACK: {
      MD_DOWNGRADE: -7,
      INACTIVE: -6,
      CONTENT_UNUPLOADABLE: -5,
      CONTENT_TOO_BIG: -4,
      CONTENT_GONE: -3,
      EXPIRED: -2,
      FAILED: -1,
      CLOCK: 0,
      SENT: 1,
      RECEIVED: 2,
      READ: 3,
      PLAYED: 4,
      PEER: 5,
    },
    ACK_STRING: { SENDER: 'sender', DELIVERY: 'delivery', READ: 'read', PLAYED: 'played' },
    EDIT_ATTR: { SENDER_REVOKE: 7, ADMIN_REVOKE: 8 },
  }));
  define('WAWebMsgType', () => ({
    MSG_TYPE: { CHAT: 'chat', IMAGE: 'image', REVOKED: 'revoked', CALL_LOG: 'call_log' },
    SYSTEM_MESSAGE_TYPES: [],
  }));
  define('WAWebSendMsgResult', () => ({ SendMsgResult: same('OK ERROR_NETWORK ERROR_UNKNOWN') }));
  define('WAWebSocketConstants', () => ({
    SOCKET_STATE: same(
      'OPENING PAIRING UNPAIRED UNPAIRED_IDLE CONNECTED TIMEOUT CONFLICT UNLAUNCHED PROXYBLOCK TOS_BLOCK SMB_TOS_BLOCK DEPRECATED_VERSION',
    ),
    SOCKET_STREAM: { CONNECTED: 'CONNECTED' },
    WATCHED_SOCKET_STATE: { OPEN: 'OPEN' },
  }));
  define('WAWebLogoutReasonConstants', () => ({
    LogoutReason: { UserInitiated: 'user_initiated', UnknownCompanion: 'unknown_companion', AccountLocked: 'account_locked' },
    LOGOUT_REASON_CODE: { CLIENT_FATAL: '0' },
  }));
  define('WAWebLogoutReason', () => ({
    // wa-js wraps this one to learn why a session ended.
    getErrorCodeFromLogoutReason: () => '0',
    setPrevLogoutReasonCode() {},
    getPrevLogoutReasonCode() {},
  }));
  define('WAWebIsOfficialClient', () => ({ isOfficialClient: true }));
  define('WAWebNonJidMentionType', () => ({ default: { MENTION_ALL: 1 } }));
  define('WAWebCallConstants', () => ({ CALL_STATES: same('INCOMING_RING ACTIVE REJECTED') }));
  define('WAWebMsgUnread', () => ({ getIsUnreadType: () => true }));
  define('WATimeUtils', () => ({ unixTime: () => Math.floor(Date.now() / 1000), unixTimeMs: Date.now }));
  define('WAMd5', () => ({ md5: (text) => text, md5ArrayBufferHex: () => '' }));
  define('WAWebStatusContacts', () => ({ STATUS_JID: 'status@broadcast' }));
})(simulator);
