// What a frontend hears: socket.io-client as npm has it, unmodified.
import { io } from 'socket.io-client';
import { eventually } from './eventually.mjs';

/** Connecting takes milliseconds; a socket that waits longer will never come. */
const PATIENCE_MS = 10_000;

/** Connected, in the company's room, and with everything that was heard since. */
export async function listen(url, token, company, transports) {
  const socket = io(url, { auth: { token }, transports, forceNew: true, timeout: PATIENCE_MS });
  const heard = [];
  socket.onAny((name, data) => heard.push({ name, data }));
  try {
    await outcome(socket);
  } catch (error) {
    socket.disconnect();
    throw error;
  }
  if (company !== undefined) socket.emit('join-company', company);
  return {
    socket,
    heard,
    /** What was or will be heard under that name and is `good`. */
    async hears(name, good, seconds = 30) {
      const find = () => heard.find((event) => event.name === name && good(event.data));
      const latest = () => find() ?? { missing: heard.slice(-5) };
      return (await eventually(`a ${name} event`, seconds, latest, (seen) => !seen.missing)).data;
    },
    close: () => socket.disconnect(),
  };
}

/** Whether a socket is taken; the reason when it is not. */
export async function refusal(url, auth) {
  const socket = io(url, { auth, forceNew: true, reconnection: false, timeout: PATIENCE_MS });
  try {
    await outcome(socket);
    return undefined;
  } catch (error) {
    return error;
  } finally {
    socket.disconnect();
  }
}

function outcome(socket) {
  return new Promise((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('connect_error', reject);
  });
}
