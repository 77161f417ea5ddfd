// The contract between this page and the session pod: every event, every call, every field. The Rust mirror is
// session-pod/src/engine/contract.rs. Nothing of wa-js or of WhatsApp's own models may appear in a type of this file.

/**
 * A message id, `<true|false>_<chat>_<key>`, and for other people's group messages `_<author>` behind it.
 * Ids of own group messages carry no author here, so that the id a sender chose is the id in every later event.
 */
export type MessageId = string;

/** `<number>@c.us`, `<number>@lid` (not a phone number!) or `<number>@g.us`. */
export type ChatId = string;

export interface Message {
  id: MessageId;
  chat: ChatId;
  /** Who sent it into this chat as WhatsApp addresses it: for a group the group itself, see `author`. */
  from: string;
  /** The person who wrote it, in groups only. */
  author: string | null;
  fromMe: boolean;
  /** WhatsApp's own word: chat, image, audio, ptt, document, sticker, … */
  type: string;
  /** The body of a text or the caption of a medium. */
  text: string | null;
  /** Seconds since 1970. */
  timestamp: number;
  /** Below 0 failed, 0 waiting, 1 at the server, 2 delivered, 3 read, 4 played. */
  ack: number;
  pushName: string | null;
  quotedId: MessageId | null;
}

export interface Chat {
  id: ChatId;
  name: string | null;
  isGroup: boolean;
  /** Unread messages; -1 when the person marked the chat as unread. */
  unread: number;
  /** Seconds since 1970 of the newest message. */
  timestamp: number | null;
  /** Digits, only when WhatsApp knows the phone number; never the digits of a `@lid`. */
  phone: string | null;
  lid: string | null;
}

export interface Account {
  id: string;
  lid: string | null;
  pushName: string | null;
}

/** QR SYNCING MAIN OFFLINE CONFLICT PROXYBLOCK TOS_BLOCK SMB_TOS_BLOCK DEPRECATED_VERSION, or what comes next. */
export type StreamMode = string;

export interface Stream {
  mode: StreamMode;
  /** OFFLINE OPENING PAIRING SYNCING RESUMING CONNECTING NORMAL, or null while WhatsApp has not said. */
  info: string | null;
  /** A phone is linked. With mode MAIN this, and only this, means logged in. */
  authenticated: boolean;
  account: Account | null;
}

export interface Versions {
  waJs: string;
  whatsappWeb: string | null;
}

/** The kinds of events and their bodies. */
export interface Events {
  /** wa-js is ready, on the QR page or logged in. */
  ready: Versions;
  /** wa-js did not get ready in time, or without something that the bridge needs; `missing` names modules and finders. */
  outdated: Versions & { missing: string[] };
  /** Mode, info, authentication or account changed. */
  stream: Stream;
  /** The text of the QR code; null when there is none (any more). */
  qr: { code: string | null };
  /** WhatsApp makes no further codes until `refreshQr`. */
  qrIdle: Record<string, never>;
  pairingCode: { code: string };
  pairingCodeExpired: Record<string, never>;
  pairingCodeError: { code: string; message: string };
  /** New, own ones included; also those that came before this script did. Once per page life and message. */
  message: { message: Message };
  /** Of own messages only. */
  ack: { id: MessageId; chat: ChatId; ack: number };
  /** A chat appeared, or its unread count or name changed. */
  chat: { chat: Chat };
  logout: { reason: string | null };
  /** A server signal of the allow-list in events/backend.ts. */
  backend: { name: string };
}

export type EventKind = keyof Events;

/**
 * `n` counts 1, 2, 3, … within one life of the page. `life` is the number that the session pod gave this one: what an
 * earlier life said may reach the pod after the next has begun, and counts from 1 like it.
 */
export type BridgeEvent = { [K in EventKind]: { life: number; n: number; kind: K; body: Events[K] } }[EventKind];

/** What the session pod sets as `window.sessionBridgeOptions` before it evaluates the bridge. */
export interface Options {
  /** Grows with every injection. */
  life: number;
  /** How long wa-js may take to get ready before the page is called outdated. */
  patienceMs: number;
}

/** A message by what tells it from others. */
export interface Known {
  id: MessageId;
  /** Seconds since 1970. */
  timestamp: number;
}

/** The calls, their arguments and results. */
export interface Calls {
  /**
   * `stream` is null until wa-js has found WhatsApp's modules. `lastEvent` is the number of the newest event, `newest`
   * the newest message of people in WhatsApp's own store: what the session pod should know, and can compare.
   */
  state: {
    args: Record<string, never>;
    ok: {
      life: number;
      ready: boolean;
      stream: Stream | null;
      qr: string | null;
      lastEvent: number;
      newest: Known | null;
    };
  };
  /** The events after number `after`; error `gone` when the ring no longer holds them all. */
  resume: { args: { after: number }; ok: { events: BridgeEvent[] } };
  /**
   * Sends once per id, however often it is called. `id` in the answer is the id WhatsApp uses: it differs from the
   * one asked for when WhatsApp keeps this person under another address (phone number and lid).
   */
  sendText: { args: { id: MessageId; chat: ChatId; text: string }; ok: { id: MessageId; ack: number } };
  /** `id`: under which id WhatsApp has it, as in `sendText`. */
  hasMessage: { args: { id: MessageId }; ok: { exists: boolean; ack: number | null; id: MessageId | null } };
  queryExists: { args: { id: ChatId }; ok: { exists: boolean; id: ChatId | null } };
  refreshQr: { args: Record<string, never>; ok: { code: string | null } };
  /** `phone`: digits, with the country's code. */
  startPairing: { args: { phone: string }; ok: { code: string } };
  logout: { args: Record<string, never>; ok: Record<string, never> };
  /** Newest first. */
  chats: { args: { limit: number; groups: boolean }; ok: { chats: Chat[] } };
  /**
   * Oldest first, from what this device has stored. `more`: there may be older ones, however few came, because what is
   * stored beside messages of people is left out. It comes with at least one message, the next `before`.
   */
  messages: {
    args: { chat: ChatId; limit: number; before: MessageId | null };
    ok: { messages: Message[]; more: boolean };
  };
}

export type Method = keyof Calls;

export type ErrorCode =
  | 'not_ready'
  | 'invalid_id'
  | 'not_found'
  | 'not_on_whatsapp'
  | 'send_failed'
  | 'gone'
  | 'timeout'
  | 'internal';

/** What a call answers, as a JSON string. The promise of a call never rejects. */
export type Answer<M extends Method> =
  | { ok: Calls[M]['ok'] }
  | { error: { code: ErrorCode; message: string } };

/** What the page offers the session pod as `window.sessionBridge`. */
export interface SessionBridge {
  readonly life: number;
  call(method: string, argsJson: string): Promise<string>;
}
