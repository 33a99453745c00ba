// The log of what happens in the server, as it happens: Server-Sent Events of the web server.

import { eventsAddress } from "./api.js";
import { byId, make, notice, setText } from "./dom.js";
import { clockTime } from "./format.js";

/** Entries that are kept; older ones go. */
const KEPT = 300;

/** Events of API calls: every page like this one makes some each two seconds, so they are shown on demand only. */
const CALLS = new Set(["cliRequest", "cliResponse"]);

/** Shows events from the moment it is made; what comes while it is halted waits. */
export class EventsView {
  #waiting = [];
  #halted = false;
  #due = false;

  constructor() {
    byId("events-halt").addEventListener("click", () => this.#halt());
    byId("events-clear").addEventListener("click", () => this.#clear());
    byId("events-filter").addEventListener("input", () => this.#filter());
    byId("events-empty").replaceChildren(notice("Nothing has happened yet", "Streams that come and go, segments that are written, commands: each is shown here as it happens."));
    this.#connect();
  }

  #connect() {
    const source = new EventSource(eventsAddress);
    source.addEventListener("open", () => this.#tell("live"));
    source.addEventListener("error", () => this.#tell(source.readyState === EventSource.CLOSED ? "the server gives no events" : "connecting again…"));
    source.addEventListener("message", (message) => this.#take(message.data));
  }

  #tell(state) {
    setText(byId("events-state"), state);
  }

  #take(text) {
    let event;
    try {
      event = JSON.parse(text);
    } catch {
      return;
    }
    if (CALLS.has(event.type) && !byId("events-calls").checked) return;
    this.#waiting.push({ ...event, at: Date.now() });
    if (this.#waiting.length > KEPT) this.#waiting.shift();
    if (!this.#halted && !this.#due) {
      this.#due = true;
      requestAnimationFrame(() => this.#show());
    }
  }

  #show() {
    this.#due = false;
    const list = byId("events-list");
    for (const event of this.#waiting.splice(0)) list.prepend(this.#entry(event));
    while (list.childElementCount > KEPT) list.lastElementChild.remove();
    byId("events-empty").hidden = list.childElementCount > 0;
  }

  #entry(event) {
    const payload = event.payload ?? {};
    const subject = payload.name ?? payload.localStreamName ?? payload.file ?? payload.command ?? payload.description ?? "";
    const entry = make(
      "details",
      { className: "event" },
      make(
        "summary",
        {},
        make("time", { textContent: clockTime(event.timestamp ? event.timestamp * 1000 : event.at) }),
        make("strong", { textContent: event.type ?? "event" }),
        make("span", { textContent: String(subject) }),
      ),
    );
    // The text is made when somebody looks: most entries are never opened.
    entry.addEventListener("toggle", () => entry.append(make("pre", { textContent: JSON.stringify(payload, null, 2) })), { once: true });
    entry.hidden = !this.#wanted(entry);
    return entry;
  }

  #wanted(entry) {
    return entry.textContent.toLowerCase().includes(byId("events-filter").value.trim().toLowerCase());
  }

  #filter() {
    for (const entry of byId("events-list").children) entry.hidden = !this.#wanted(entry);
  }

  #halt() {
    this.#halted = !this.#halted;
    const button = byId("events-halt");
    button.setAttribute("aria-pressed", this.#halted);
    setText(button, this.#halted ? "Go on" : "Halt");
    if (!this.#halted) this.#show();
  }

  #clear() {
    byId("events-list").replaceChildren();
    byId("events-empty").hidden = false;
  }
}
