// The functions through which receipts and other notices of the server pass. wa-js wraps them to hear of those.
'use strict';

(function ({ define }) {
  define('SimulatorReceipts', (require) => ({
    apply: async ({ ack, externalIds }) => {
      const { MsgCollection } = require('WAWebMsgCollection');
      for (const externalId of externalIds) {
        const msg = MsgCollection.findFirst(({ id }) => id.fromMe && id.id === externalId);
        if (msg && msg.ack < ack) msg.set('ack', ack);
      }
    },
  }));
  define('WAWebHandleChatReceipt', (require) => ({ handleChatSimpleReceipt: (receipt) => require('SimulatorReceipts').apply(receipt) }));
  define('WAWebHandleGroupReceipt', (require) => ({ handleGroupSimpleReceipt: (receipt) => require('SimulatorReceipts').apply(receipt) }));
  define('WAWebHandleStatusReceipt', (require) => ({ handleStatusSimpleReceipt: (receipt) => require('SimulatorReceipts').apply(receipt) }));
  define('WAWebReactionsAction', () => ({ addOrUpdateReactionsModelCollection() {} }));
  define('WAWebPollsVotes', () => ({ upsertVotesDb: async () => {} }));
  define('WAWebGroupActionDB', () => ({ updateDBForGroupAction: async () => {} }));
  define('WAWebHandleSingleMsg', () => ({ handleSingleMsg: async () => {} }));
})(simulator);
