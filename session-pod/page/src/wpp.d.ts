// The part of wa-js (4.6.0) that the bridge uses, and no more: what is not here is not called.
// Model fields are optional because WhatsApp changes them without notice; the serializers must cope.

declare namespace WPP {
  interface Wid {
    user: string;
    server: string;
    toString(): string;
    equals(other: unknown): boolean;
    isLid(): boolean;
    isGroup(): boolean;
  }

  interface MsgKey {
    fromMe: boolean;
    remote: Wid;
    id: string;
    participant?: Wid | undefined;
    toString(): string;
  }

  interface Msg {
    id: MsgKey;
    type?: string;
    body?: string;
    caption?: string;
    from?: Wid;
    author?: Wid;
    t?: number;
    ack?: number;
    notifyName?: string;
    isNewMsg?: boolean;
    quotedStanzaID?: string;
    /** A getter of wa-js; throws for some quotes. */
    quotedMsgId?: MsgKey;
    once(event: string, listener: () => void): void;
  }

  interface Contact {
    name?: string;
    pushname?: string;
    verifiedName?: string;
  }

  interface Chat {
    id: Wid;
    name?: string;
    unreadCount?: number;
    t?: number;
    contact?: Contact;
    groupMetadata?: { subject?: string };
  }

  interface Collection<M> {
    on(event: string, listener: (model: M, value: unknown, previous: unknown) => void): void;
    get(id: string | Wid | MsgKey): M | undefined;
    getModelsArray(): M[];
  }

  interface AuthCode {
    fullCode: string;
  }

  interface Receipt {
    ack: number;
    chat: Wid;
    ids: MsgKey[];
  }

  interface SendResult {
    id: string;
    ack?: number;
    sendMsgResult?: { messageSendResult?: string } | null;
  }

  interface EventMap {
    'loader.injected': void;
    'loader.ready': void;
    'loader.full_ready': void;
    'conn.auth_code_change': AuthCode | null;
    'conn.qrcode_idle': void;
    'conn.stream_mode_changed': string;
    'conn.stream_info_changed': string;
    'conn.authenticated': void;
    'conn.require_auth': void;
    'conn.main_loaded': void;
    'conn.logout': void;
    'conn.logout_reason': unknown;
    'conn.link_code_change': string;
    'conn.link_code_expired': void;
    'conn.link_code_error': unknown;
    'conn.backend_event': string;
    'chat.new_message': Msg;
    'chat.msg_ack_change': Receipt;
    'chat.new_chat': Chat;
  }

  interface Exists {
    wid: Wid;
  }

  interface Api {
    version: string;
    isInjected: boolean;
    isReady: boolean;
    isFullReady: boolean;
    on<K extends keyof EventMap>(event: K, listener: (value: EventMap[K]) => void): void;
    conn: {
      isAuthenticated(): boolean;
      /** Chats are in the stores; stays true when the stream breaks later. */
      isMainLoaded(): boolean;
      getStreamData(): { mode?: string; info?: string };
      getMyUserId(): Wid | undefined;
      getMyUserLid(): Wid;
      getAuthCode(): Promise<AuthCode | null>;
      refreshQR(): Promise<AuthCode | null>;
      startLinkDeviceCodeForPhoneNumber(phone: string, push: boolean): Promise<string>;
      logout(): Promise<boolean>;
    };
    contact: {
      /** The new name; `queryExists` goes away after 2026-10-27. */
      queryWidExists?(id: string): Promise<Exists | null>;
      queryExists?(id: string): Promise<Exists | null>;
    };
    chat: {
      get(id: string): Chat | undefined;
      find(id: string): Promise<Chat>;
      list(options: { ignoreGroupMetadata: boolean }): Promise<Chat[]>;
      getMessages(id: string, options: { count: number; direction?: 'before'; id?: string }): Promise<Msg[]>;
      getMessageById(id: string): Promise<Msg>;
      sendTextMessage(
        id: string,
        text: string,
        options: {
          messageId: string;
          markIsRead: boolean;
          linkPreview: boolean;
          waitForAck: boolean;
          detectMentioned: boolean;
        },
      ): Promise<SendResult>;
    };
    whatsapp: {
      MsgStore: Collection<Msg>;
      ChatStore: Collection<Chat>;
      Conn?: { pushname?: string };
      WidFactory: { createWid(id: string): Wid };
      lidPnCache?: { getPhoneNumber(lid: Wid): Wid | undefined; getCurrentLid(phone: Wid): Wid | undefined };
      [name: string]: unknown;
    };
  }
}

interface Window {
  WPP?: WPP.Api;
  WPPConfig?: object;
  Debug?: { VERSION?: string };
  sessionBridge?: import('./contract').SessionBridge;
  sessionBridgeOptions?: Partial<import('./contract').Options>;
  /** The CDP binding; absent until the session pod has added it. */
  sessionPodEmit?: (event: string) => void;
}
