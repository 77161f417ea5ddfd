// What wa-js looks for around media. No media are sent or received yet: enough to be found, and it says so when used.
'use strict';

(function ({ define }) {
  const notYet = () => {
    throw new Error('the simulator has no media yet');
  };

  define('WAWebMediaOpaqueData', () => ({
    default: class OpaqueData {
      throwIfReleased() {}
      static createFromData() {
        return notYet();
      }
    },
  }));
  define('WAWebMediaGatingUtils', () => ({ getUploadLimit: () => 64 * 2 ** 20 }));
  define('WAWebMediaInMemoryBlobCache', () => ({ InMemoryMediaBlobCacheImpl: Map, InMemoryMediaBlobCache: new Map() }));
  define('WAWebLruMediaStore', () => ({
    LruMediaStore: Object.fromEntries(['get', 'put', 'del', 'clear', 'count', 'has'].map((name) => [name, async () => null])),
  }));
  define('WAWebPrepRawMedia', () => ({ prepRawMedia: notYet, uploadProductImage: notYet, MediaPrep: class {} }));
})(simulator);
