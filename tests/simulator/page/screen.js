// What a person sees who opens this page by hand: how it stands and, while it waits, the text of its QR code.
// Nothing but a view: no test and no other module may depend on it.
'use strict';

(function ({ define }) {
  define('SimulatorScreen', (require) => ({
    start: () => {
      const { Stream } = require('WAWebStreamModel');
      const { Conn } = require('WAWebConnModel');
      const draw = () => {
        document.getElementById('mode').textContent = `${Stream.mode} · ${Stream.info}`;
        document.getElementById('detail').textContent = Conn.wid ? String(Conn.wid) : (Conn.ref ?? '');
      };
      Stream.on('change:mode change:info', draw);
      Conn.on('change:ref change:wid', draw);
      draw();
    },
  }));
})(simulator);
