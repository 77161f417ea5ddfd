// Loads the page the way WhatsApp loads: the loader and a few modules with the document, everything else later and bit
// by bit. A script that counts modules to find out whether it may start is fooled by this, as by the real page.
(function () {
  'use strict';

  const EARLY = ['models', 'constants'];
  const LATE = [
    ['ids', 'keys', 'connection', 'linking'],
    ['contacts', 'stores', 'actions', 'receipts', 'media', 'stubs'],
    ['database', 'link', 'session', 'screen'],
  ];
  /** Between the parts, in milliseconds. `?pause=` or the plan makes it longer, to see what waits and what does not. */
  const PAUSE_MS = Number(new URLSearchParams(location.search).get('pause') ?? simulator.plan.pauseMs ?? 100);

  const load = (name) =>
    new Promise((resolve, reject) => {
      const script = document.createElement('script');
      script.src = `/simulator/${name}.js`;
      script.onload = resolve;
      script.onerror = () => reject(new Error(`${name}.js did not load`));
      document.head.append(script);
    });

  async function boot() {
    await Promise.all(EARLY.map(load));
    for (const part of LATE) {
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      await Promise.all(part.map(load));
    }
    window.Debug = { VERSION: simulator.require('WAWebBuildConstants').VERSION_STR };
    simulator.require('SimulatorScreen').start();
    await simulator.require('SimulatorSession').start();
  }

  void boot();
})();
