// The demonstration page of metadata over WebSocket: what is sent for a stream reaches all who have subscribed to it.
// Query: uri (ws://host:8210), stream (empty: all).

import { metadataDoor, ofStream } from "./addresses.js";
import { byId, make, setText } from "./dom.js";

/** Messages that are shown; older ones go. */
const KEPT = 100;

const query = new URLSearchParams(location.search);
let socket = null;
let count = 0;

function subscribe() {
  socket?.close();
  const url = ofStream(byId("uri").value.trim(), byId("stream").value.trim());
  let opened;
  try {
    opened = new WebSocket(url);
  } catch (error) {
    setText(byId("state"), error.message);
    return;
  }
  socket = opened;
  setText(byId("state"), "connecting");
  const current = (listener) => (event) => opened === socket && listener(event);
  opened.addEventListener("open", current(() => setText(byId("state"), `subscribed to ${byId("stream").value.trim() || "all streams"}`)));
  opened.addEventListener("message", current((event) => receive(event.data)));
  opened.addEventListener("close", current((event) => setText(byId("state"), `closed (${event.code}${event.reason ? `, ${event.reason}` : ""})`)));
}

function receive(text) {
  count += 1;
  setText(byId("count"), count);
  const list = byId("received");
  list.prepend(make("li", {}, make("time", { textContent: new Date().toLocaleTimeString() }), make("pre", { textContent: pretty(text) })));
  while (list.childElementCount > KEPT) list.lastElementChild.remove();
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return String(text);
  }
}

function send() {
  const text = byId("text").value;
  try {
    JSON.parse(text);
  } catch (error) {
    setText(byId("verdict"), `not sent, this is not JSON: ${error.message}`);
    return;
  }
  if (socket?.readyState !== WebSocket.OPEN) {
    setText(byId("verdict"), "not sent: subscribe first");
    return;
  }
  socket.send(text);
  setText(byId("verdict"), "sent");
}

byId("uri").value = query.get("uri") ?? metadataDoor();
byId("stream").value = query.get("stream") ?? "";
byId("form").addEventListener("submit", (event) => {
  event.preventDefault();
  subscribe();
});
byId("close").addEventListener("click", () => socket?.close());
byId("sender").addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});
subscribe();
