// Linking by pairing code, the alternative to the QR code.
'use strict';

(function ({ define }) {
  define('WAWebAltDeviceLinkingApi', (require) => ({
    initializeAltDeviceLinking: async () => {},
    genLinkDeviceCodeForPhoneNumber: async (phone) => (await require('SimulatorLink').ask({ type: 'pairingCode', phone })).code,
  }));
  define('WAWebLinkDeviceEvents', (require) => {
    const EventEmitter = require('WAWebEventEmitter').default;
    return { WAWebLinkDeviceEvents: Object.assign(new EventEmitter(), { triggerRefreshAltLinkingCode() {} }) };
  });
})(simulator);
