// The demonstration page of FMP4 over WebSocket. Query: uri (ws://host:8410), stream (demo), autoplay (1), debug (0).

import { mediaDoor, ofStream } from "./addresses.js";
import { byId, setText } from "./dom.js";
import { Fmp4Player } from "./fmp4-player.js";
import { bitRate } from "./format.js";

/** Debug messages that are shown; older ones go. */
const KEPT_MESSAGES = 200;

const query = new URLSearchParams(location.search);
const isOn = (name, otherwise) => !["0", "false", "no", "off"].includes((query.get(name) ?? otherwise).toLowerCase());

const messages = [];
let player = null;
let measured = { bytes: 0, at: 0 };

function log(text) {
  messages.push(`${new Date().toISOString().slice(11, 23)}  ${text}`);
  if (messages.length > KEPT_MESSAGES) messages.shift();
  if (!byId("debug").checked) return;
  const place = byId("messages");
  setText(place, messages.join("\n"));
  place.scrollTop = place.scrollHeight;
}

function play() {
  player?.stop();
  const url = ofStream(byId("uri").value.trim(), byId("stream").value.trim());
  const onState = (state, reason) => setText(byId("state"), reason ? `${state}: ${reason}` : state);
  player = new Fmp4Player(byId("video"), url, { onState, log });
  measured = { bytes: 0, at: performance.now() };
  log(`play ${url}`);
  player.play();
}

function stop() {
  player?.stop();
  player = null;
}

function showFigures() {
  if (!player) {
    setText(byId("figures"), "");
    return;
  }
  const stats = player.stats();
  const now = performance.now();
  const rate = ((stats.bytes - measured.bytes) * 8000) / Math.max(1, now - measured.at);
  measured = { bytes: stats.bytes, at: now };
  const { videoWidth, videoHeight } = byId("video");
  const figures = [
    videoWidth ? `${videoWidth}×${videoHeight}` : "",
    stats.tracks.map((track) => track.codec).join(" + "),
    `${Math.round(stats.latency * 1000)} ms behind`,
    bitRate(rate),
    `${stats.frames} pictures, ${stats.dropped} dropped`,
    stats.stalls ? `${stats.stalls} stalls` : "",
  ];
  setText(byId("figures"), figures.filter(Boolean).join(" · "));
}

byId("uri").value = query.get("uri") ?? mediaDoor();
byId("stream").value = query.get("stream") ?? "demo";
byId("debug").checked = isOn("debug", "0");
byId("messages").hidden = !byId("debug").checked;
byId("debug").addEventListener("change", (event) => {
  byId("messages").hidden = !event.target.checked;
  log("debug messages");
});
byId("form").addEventListener("submit", (event) => {
  event.preventDefault();
  play();
});
byId("stop").addEventListener("click", stop);
setInterval(showFigures, 1000);
if (isOn("autoplay", "1")) play();
