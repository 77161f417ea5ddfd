// Persons: their model, the getters wa-js patches, their two addresses, and whether they are on WhatsApp.
'use strict';

(function ({ define }) {
  define('WAWebContactModel', (require) => {
    class Contact extends require('WAWebBaseModel').BaseModel {}
    Contact.prototype.proxyName = 'contact';
    return { default: Contact };
  });
  define('WAWebContactCollection', (require) => {
    class ContactCollectionImpl extends require('WAWebBaseCollection').BaseCollection {}
    return { ContactCollection: new ContactCollectionImpl(require('WAWebContactModel').default), ContactCollectionImpl };
  });

  const each = (names, getter) => Object.fromEntries(names.split(' ').map((name) => [name, getter]));
  const title = (contact) => contact.name ?? contact.pushname ?? String(contact.id);

  define('WAWebContactGetters', (require) => ({
    ...each('getNotifyName getPremiumMessageName', title),
    ...each(
      'getIsUser getIsGroup getIsBroadcast getIsNewsletter getIsPSA getIsIAS getIsSupportAccount getIsWAContact ' +
        'getCanRequestPhoneNumber getShowBusinessCheckmarkAsPrimary getShowBusinessCheckmarkAsSecondary ' +
        'getShowBusinessCheckmarkInChatlist getIsDisplayNameApproved getShouldForceBusinessUpdate',
      () => false,
    ),
    getUserid: (contact) => contact.id.user,
    getIsMe: (contact) => String(contact.id) === String(require('SimulatorLogin').me.phone),
  }));
  define('WAWebFrontendContactGetters', () => ({
    ...each(
      'getMentionName getSearchVerifiedName getHeader getDisplayName getPnForLid getUserDisplayNameForLid getFormattedPhone ' +
        'getFormattedUsernameOrPhone getFormattedShortNameWithNonBreakingSpaces getFormattedShortName getFormattedName ' +
        'getFormattedUser getSearchName',
      title,
    ),
    getIsMyContact: () => true,
    getTextStatusString: () => '',
    getPhoneNumber: (contact) => contact.id.user,
  }));

  // Phone number and lid of one person, as far as this device has learned them.
  define('WAWebLidPnCache', (require) => {
    const { createWid } = require('WAWebWidFactory');
    const phones = new Map();
    const lids = new Map();
    return {
      lidPnCache: {
        getPhoneNumber: (lid) => phones.get(String(lid)),
        getCurrentLid: (phone) => lids.get(String(phone)),
        learn: (lid, phone) => {
          phones.set(lid, createWid(phone));
          lids.set(phone, createWid(lid));
        },
      },
    };
  });
  define('WAWebApiContact', (require) => {
    const { lidPnCache } = require('WAWebLidPnCache');
    return { getCurrentLid: lidPnCache.getCurrentLid, getPhoneNumber: lidPnCache.getPhoneNumber };
  });
  define('WAWebLidMigrationUtils', () => ({ Lid1X1MigrationUtils: { isLidMigrated: () => true } }));

  define('WAWebQueryExistsJob', (require) => ({
    queryPhoneExists: async () => null,
    queryWidExists: async (wid) => {
      const { exists } = await require('SimulatorLink').ask({ type: 'exists', id: String(wid) });
      return exists ? { wid, biz: false } : null;
    },
  }));
})(simulator);
