// The login, kept in this profile's IndexedDB: {phone, device, key, account}. It is what makes a restored browser
// profile log in by itself, and the only thing this page stores.
'use strict';

(function ({ define }) {
  const DATABASE = 'simulator';
  const STORE = 'login';
  const ONLY = 'device';

  define('SimulatorDatabase', () => {
    const done = (request) =>
      new Promise((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
      });

    async function within(mode, work) {
      const opening = indexedDB.open(DATABASE, 1);
      opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
      const database = await done(opening);
      try {
        return await done(work(database.transaction(STORE, mode, { durability: 'strict' }).objectStore(STORE)));
      } finally {
        database.close();
      }
    }

    return {
      readLogin: async () => (await within('readonly', (store) => store.get(ONLY))) ?? null,
      writeLogin: (login) => within('readwrite', (store) => store.put(login, ONLY)),
      deleteLogin: () => within('readwrite', (store) => store.delete(ONLY)),
    };
  });
})(simulator);
