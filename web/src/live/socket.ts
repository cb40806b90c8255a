import { signal, type ReadonlySignal } from "@preact/signals";
import { API } from "../api/http";
import { Backoff } from "./backoff";
import { Sequence } from "./sequence";
import type { ServerMessage, Snapshot, Subscription, Update } from "./wire";

export type LinkState = "connecting" | "live" | "waiting" | "refused";

export interface Link {
  state: LinkState;
  /** When the last message came, milliseconds since 1970 of this machine; 0 before the first. */
  heard_ms: number;
  /** When the next attempt is due; only while waiting. */
  retry_ms: number;
  /** Why the last connection ended, for people. */
  reason: string;
  roundtrip_ms: number | null;
  /** Set when the server sends less often than asked, with its reason. */
  conflated: { every_ms: number; reason: string } | null;
}

export interface Handlers {
  snapshot(message: Snapshot): void;
  update(message: Update): void;
}

const TOKEN_REFUSED = 4001;
const ORIGIN_REFUSED = 4003;
const PING_EVERY_MS = 5_000;
// A socket can stay open though nothing comes through any more; a ping unanswered this long says so.
const SILENCE_MS = 12_000;

const REASONS: Record<number, string> = {
  1012: "the server restarts",
  [TOKEN_REFUSED]: "the token is missing or no longer valid",
  [ORIGIN_REFUSED]: "the server does not accept this page's address",
  4008: "this page was too slow",
};

/**
 * Keeps one WebSocket open: connects again after every end, subscribes again, and treats a hole in the
 * sequence as an end, because only a new snapshot makes the state whole.
 */
export class LiveSocket {
  readonly #handlers: Handlers;
  readonly #backoff = new Backoff();
  readonly #link = signal<Link>({
    state: "connecting",
    heard_ms: 0,
    retry_ms: 0,
    reason: "",
    roundtrip_ms: null,
    conflated: null,
  });
  #socket: WebSocket | null = null;
  #sequence = new Sequence();
  // False from a wish to its snapshot: updates in between belong to the wish before.
  #isWhole = false;
  #wish: Subscription | null = null;
  #wishId = 0;
  #retry = 0;
  #pinger = 0;

  constructor(handlers: Handlers) {
    this.#handlers = handlers;
  }

  get link(): ReadonlySignal<Link> {
    return this.#link;
  }

  /** Asks for something else than before; connects if nothing is open yet. */
  subscribe(wish: Subscription): void {
    this.#wish = wish;
    if (this.#socket === null && this.#retry === 0) this.#open();
    else this.#sendWish();
  }

  /** Connects now instead of when the wait is over. */
  retryNow(): void {
    if (this.#retry === 0) return;
    clearTimeout(this.#retry);
    this.#retry = 0;
    this.#open();
  }

  #open(): void {
    this.#set({ state: "connecting" });
    this.#sequence = new Sequence();
    const url = new URL(`${API}/live`, document.baseURI);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    url.hash = "";
    const socket = new WebSocket(url);
    this.#socket = socket;
    let heardAtMs = performance.now();
    socket.onopen = () => this.#sendWish();
    socket.onmessage = (event: MessageEvent<string>) => {
      heardAtMs = performance.now();
      this.#take(JSON.parse(event.data) as ServerMessage);
    };
    // An error is always followed by a close, which tells more.
    socket.onclose = (event) => this.#ended(socket, event.code, event.reason);
    this.#pinger = window.setInterval(() => {
      if (performance.now() - heardAtMs > SILENCE_MS) this.#drop("the server has fallen silent");
      else if (socket.readyState === WebSocket.OPEN) {
        socket.send(JSON.stringify({ op: "ping", t: performance.now() }));
      }
    }, PING_EVERY_MS);
  }

  #sendWish(): void {
    if (this.#wish === null || this.#socket?.readyState !== WebSocket.OPEN) return;
    this.#wishId += 1;
    this.#isWhole = false;
    this.#socket.send(JSON.stringify({ op: "subscribe", id: this.#wishId, ...this.#wish }));
  }

  #take(message: ServerMessage): void {
    if (message.type === "pong") {
      this.#set({ roundtrip_ms: performance.now() - message.t, heard_ms: Date.now() });
      return;
    }
    if (!this.#sequence.accept(message.seq)) {
      this.#drop("a message was missed");
      return;
    }
    switch (message.type) {
      case "snapshot":
        // An answer to a wish that has since been replaced would show another symbol's data.
        if (message.id !== this.#wishId) return;
        this.#isWhole = true;
        this.#backoff.reset();
        this.#set({ state: "live", heard_ms: Date.now(), reason: "", conflated: null });
        this.#handlers.snapshot(message);
        return;
      case "update":
        this.#set({ heard_ms: Date.now() });
        if (this.#isWhole) this.#handlers.update(message);
        return;
      case "conflated":
        this.#set({ conflated: message.every_ms > (this.#wish?.every_ms ?? 0) ? message : null });
        return;
      case "bye":
        this.#drop(message.reason);
    }
  }

  /** Ends the connection from this side, because of something wrong with it. */
  #drop(reason: string): void {
    const socket = this.#socket;
    if (socket === null) return;
    socket.onclose = null;
    socket.onmessage = null;
    socket.close();
    this.#ended(socket, 0, reason);
  }

  #ended(socket: WebSocket, code: number, reason: string): void {
    if (this.#socket !== socket) return;
    clearInterval(this.#pinger);
    this.#socket = null;
    const text = reason || REASONS[code] || "the connection broke";
    if (code === TOKEN_REFUSED || code === ORIGIN_REFUSED) {
      this.#set({ state: "refused", reason: text });
      return;
    }
    const waitMs = this.#backoff.nextMs();
    this.#set({ state: "waiting", reason: text, retry_ms: Date.now() + waitMs, roundtrip_ms: null });
    this.#retry = window.setTimeout(() => {
      this.#retry = 0;
      this.#open();
    }, waitMs);
  }

  #set(change: Partial<Link>): void {
    this.#link.value = { ...this.#link.value, ...change };
  }
}
