// The beginning that several stories share: a connection whose phone has scanned its code.
import { eventually } from './eventually.mjs';
import { Connection, fresh } from './connection.mjs';
import { Phone } from './phone.mjs';

/** Until a code is shown: the pod, its browser, WhatsApp's page. */
const CODE_SECONDS = 90;

/** Scans the code that the connection shows, as soon as it shows one. A code that changes meanwhile is read again. */
export async function scan(api, connection, phone, pushName) {
  await eventually(`the phone scans the code of ${connection.name}`, CODE_SECONDS, async () => {
    const { code } = await api.get(`/whatsapp/connections/${connection.id}/qr`);
    await phone.scan(code, pushName);
    return true;
  });
}

/** `{connection, phone}`, Connected. */
export async function linked(world, company, stem) {
  const connection = await Connection.apply(company, fresh(stem));
  const phone = new Phone(world.control);
  await scan(world.api(company), connection, phone, stem);
  await connection.isReady();
  return { connection, phone };
}
