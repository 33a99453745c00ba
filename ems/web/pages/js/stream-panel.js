// One stream in a panel of its own: a player, and what the server knows about it.

import { mediaDoor, ofStream, playlistOf } from "./addresses.js";
import { byId, make, setText } from "./dom.js";
import { Fmp4Player } from "./fmp4-player.js";
import { bitRate, byteSize, duration, tracksOf } from "./format.js";
import { HlsPlayer } from "./hls-player.js";
import { drawCurve } from "./sparkline.js";
import { outputs } from "./streams-view.js";
import { LENGTH } from "./rate-history.js";

/** Shows streams of a RateHistory; `jobs()` gives the newest answer of listConfig. */
export class StreamPanel {
  #dialog = byId("panel");
  #video = byId("panel-video");
  #history;
  #jobs;
  #stream = null;
  #player = null;
  #timer = 0;

  constructor(history, jobs) {
    this.#history = history;
    this.#jobs = jobs;
    byId("panel-close").addEventListener("click", () => this.#dialog.close());
    byId("panel-hint").addEventListener("click", () => this.#dialog.close());
    this.#dialog.addEventListener("close", () => this.#clear());
    this.#dialog.addEventListener("click", (event) => event.target === this.#dialog && this.#dialog.close());
    byId("panel-source").addEventListener("change", () => this.#start());
  }

  /** Show a stream and play it. `group` prefers an HLS group. */
  open(stream, group = "") {
    this.#stream = stream;
    setText(byId("panel-title"), stream.name);
    this.#offerSources(group);
    this.update();
    this.#dialog.showModal();
    this.#start();
    this.#timer = setInterval(() => this.#showPlayer(), 500);
  }

  /** Show the newest answer, when the panel is open. */
  update() {
    if (!this.#stream) return;
    const now = this.#history.streams.find((one) => one.uniqueId === this.#stream.uniqueId || one.name === this.#stream.name);
    byId("panel-gone").hidden = Boolean(now);
    if (now) this.#stream = now;
    byId("panel-facts").replaceChildren(...facts(this.#stream, this.#history.rate(this.#stream.uniqueId)));
    requestAnimationFrame(() => drawCurve(byId("panel-curve"), this.#history.rates(this.#stream?.uniqueId), LENGTH));
  }

  #offerSources(group) {
    const groups = (this.#jobs().hls ?? []).filter((job) => namesOf(job).includes(this.#stream.name)).map((job) => job.groupName);
    const options = [["ws", "WebSocket, low delay"]];
    for (const name of new Set(groups)) {
      options.push([`hls:${name}`, `HLS, group ${name}`], [`native:${name}`, `HLS by the browser, group ${name}`]);
    }
    const select = byId("panel-source");
    select.replaceChildren(...options.map(([value, text]) => make("option", { value, textContent: text })));
    if (group) select.value = `hls:${group}`;
    byId("panel-hint").hidden = groups.length > 0;
  }

  #start() {
    this.#player?.stop();
    const [kind, ...rest] = byId("panel-source").value.split(":");
    const onState = (state, reason) => setText(byId("panel-state"), reason ? `${state}: ${reason}` : state);
    this.#player = kind === "ws"
      ? new Fmp4Player(this.#video, ofStream(mediaDoor(), this.#stream.name), { onState })
      : new HlsPlayer(this.#video, playlistOf(rest.join(":")), { onState, native: kind === "native" });
    this.#player.play();
  }

  #showPlayer() {
    const { latency, frames, dropped } = this.#player.stats();
    const size = this.#video.videoWidth ? `${this.#video.videoWidth}×${this.#video.videoHeight}` : "";
    const delay = latency ? `${Math.round(latency * 1000)} ms behind` : "";
    setText(byId("panel-playback"), [size, delay, `${frames} pictures, ${dropped} dropped`].filter(Boolean).join(" · "));
  }

  #clear() {
    clearInterval(this.#timer);
    this.#player?.stop();
    this.#player = null;
    this.#stream = null;
  }
}

const namesOf = (job) => [job.localStreamNames ?? job.localStreamName ?? []].flat();

function facts(stream, rate) {
  const { audio = {}, video = {} } = stream;
  const rows = [
    ["Tracks", tracksOf(stream)],
    ["Bit rate", bitRate(rate)],
    ["Received", `${byteSize((video.bytesCount ?? 0) + (audio.bytesCount ?? 0))} in ${duration(stream.upTime)}`],
    ["Outputs", String(outputs(stream))],
    ["Type", stream.type],
    ["From", stream.farIp ? `${stream.farIp}:${stream.farPort}` : "this server"],
    ["Client", stream.userAgent ?? ""],
    ["Dropped", `${video.droppedPacketsCount ?? 0} video, ${audio.droppedPacketsCount ?? 0} audio`],
    ["Unique id", String(stream.uniqueId)],
  ];
  return rows.filter(([, text]) => text).flatMap(([name, text]) => [make("dt", { textContent: name }), make("dd", { textContent: text })]);
}
