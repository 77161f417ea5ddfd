// The WebSocket to the simulator's server. Comes back by itself; questions asked meanwhile wait and are asked again.
'use strict';

(function ({ define }) {
  const RETRY_MS = 250;

  define('SimulatorLink', () => {
    /** Questions without an answer, by id. The server answers an id it has seen with the same answer. */
    const open = new Map();
    let socket = null;
    let usable = false;
    let handlers = null;

    const write = (message) => socket.send(JSON.stringify(message));

    function connect() {
      socket = new WebSocket(`wss://${location.host}/ws`);
      socket.onopen = () => handlers.onOpen(write);
      socket.onmessage = ({ data }) => {
        const message = JSON.parse(data);
        if (message.type === 'answer') answer(message);
        else handlers.onMessage(message);
      };
      socket.onclose = () => {
        usable = false;
        if (handlers.onClose()) setTimeout(connect, RETRY_MS);
      };
    }

    function answer({ id, ok, error }) {
      const question = open.get(id);
      open.delete(id);
      if (error) question?.reject(new Error(error));
      else question?.resolve(ok);
    }

    return {
      /** `onOpen(write)` greets, `onMessage` takes everything but answers, `onClose` says whether to come back. */
      start: (listeners) => {
        handlers = listeners;
        connect();
      },
      /** From now on questions go out: the server knows who is asking. */
      ready: () => {
        usable = true;
        for (const { message } of open.values()) write(message);
      },
      /** Says something that needs no answer; lost when the link is down. */
      send: (message) => {
        if (socket?.readyState === WebSocket.OPEN) write(message);
      },
      /** Asks, and waits as long as it takes. */
      ask: (question) =>
        new Promise((resolve, reject) => {
          const message = { ...question, request: crypto.randomUUID() };
          open.set(message.request, { message, resolve, reject });
          if (usable) write(message);
        }),
      close: () => socket.close(),
    };
  });
})(simulator);
