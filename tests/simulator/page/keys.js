// The key material a QR code carries. Random bytes: nothing is encrypted with it, the server only compares texts.
'use strict';

(function ({ define }) {
  const publicKey = () => crypto.getRandomValues(new Uint8Array(32)).buffer;
  const encodeB64 = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)));

  define('WABase64', () => ({
    encodeB64,
    decodeB64: (text) => Uint8Array.from(atob(text), (char) => char.charCodeAt(0)).buffer,
  }));
  define('SimulatorKeys', () => ({ noise: publicKey(), identity: publicKey(), adv: encodeB64(publicKey()) }));
  define('WAWebUserPrefsInfoStore', (require) => ({
    waNoiseInfo: { get: async () => ({ staticKeyPair: { pubKey: require('SimulatorKeys').noise } }) },
  }));
  define('WAWebSignalStoreApi', (require) => ({
    waSignalStore: {
      getRegistrationInfo: async () => ({ registrationId: 1, identityKeyPair: { pubKey: require('SimulatorKeys').identity } }),
    },
  }));
  define('WAWebAdvSignatureApi', (require) => ({
    getADVSecretKey: () => require('SimulatorKeys').adv,
    setADVSignedIdentity() {},
  }));
})(simulator);
