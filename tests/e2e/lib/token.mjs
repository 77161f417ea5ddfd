// Tokens, minted with the secret that the chart made, as the CRM's login would.
import { createHmac } from 'node:crypto';

const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A token with these claims, signed with that secret. */
export function sign(secret, claims, header = { alg: 'HS256', typ: 'JWT' }) {
  const signed = `${part(header)}.${part(claims)}`;
  const algorithm = header.alg === 'HS512' ? 'sha512' : 'sha256';
  return `${signed}.${createHmac(algorithm, secret).update(signed).digest('base64url')}`;
}

/** A token of somebody of that company, good for an hour unless said. */
export function tokenOf(secret, companyId, { seconds = 3600, ...claims } = {}) {
  const now = Math.floor(Date.now() / 1000);
  return sign(secret, { sub: `agent@${companyId}`, role: 'agent', companyId, iat: now, exp: now + seconds, ...claims });
}
