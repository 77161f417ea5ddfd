// The one error type of the bridge, and the place where everything wa-js and WhatsApp may throw becomes one.
import type { ErrorCode } from './contract';

export class Failure extends Error {
  constructor(
    readonly code: ErrorCode,
    message: string,
  ) {
    super(message);
  }
}

const CODES: Readonly<Record<string, ErrorCode>> = {
  invalid_wid: 'invalid_id',
  message_key_is_not_from_me: 'invalid_id',
  message_key_remote_id_is_not_same_of_chat: 'invalid_id',
  chat_not_found: 'not_found',
  msg_not_found: 'not_found',
};

/** The `code` of an error of wa-js, if it has one. */
export function codeOf(thrown: unknown): string | null {
  const code = typeof thrown === 'object' && thrown !== null ? (thrown as { code?: unknown }).code : undefined;
  return typeof code === 'string' ? code : null;
}

/** The text of anything thrown. */
export function textOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/**
 * Anything thrown, as a Failure. wa-js throws WPPError with a code, WhatsApp throws plain Errors, and both throw bare
 * strings: whoever reads only `.message` of them ends up with `undefined` in an answer.
 */
export function asFailure(thrown: unknown): Failure {
  if (thrown instanceof Failure) return thrown;
  const code = codeOf(thrown);
  // WhatsApp's own words for an id that it cannot read.
  if (/^wid error/i.test(textOf(thrown))) return new Failure('invalid_id', textOf(thrown));
  return new Failure((code && CODES[code]) || 'internal', code ? `${code}: ${textOf(thrown)}` : textOf(thrown));
}
