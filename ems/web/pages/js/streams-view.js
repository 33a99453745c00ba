// The list of streams: name, tracks, bit rate with its curve, viewers, and how long they have been live.

import { publishAddress } from "./addresses.js";
import { byId, make, notice, setText } from "./dom.js";
import { bitRate, duration, tracksOf } from "./format.js";
import { LENGTH } from "./rate-history.js";
import { drawCurve } from "./sparkline.js";
import { VirtualList } from "./virtual-list.js";

const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

const ORDERS = {
  name: () => (one, other) => collator.compare(one.name, other.name),
  rate: (history) => (one, other) => history.rate(other.uniqueId) - history.rate(one.uniqueId),
  outputs: (history, outputsOf) => (one, other) => outputsOf(other) - outputsOf(one),
  newest: () => (one, other) => other.creationTimestamp - one.creationTimestamp,
};

/** How many outbound streams a stream feeds: players, and also segmenters, recordings and pushes. */
export const outputs = (stream) => stream.outStreamsUniqueIds?.length ?? 0;

/** Shows what a RateHistory holds; `onOpen(stream)` is called for the one that is chosen. */
export class StreamsView {
  #history;
  #onOpen;
  #list;
  #asked = false;
  #overHttp = {};

  constructor(history, onOpen) {
    this.#history = history;
    this.#onOpen = onOpen;
    const makeRow = () => this.#makeRow();
    const fillRow = (row, stream) => this.#fill(row, stream);
    this.#list = new VirtualList(byId("streams-viewport"), byId("streams-list"), makeRow, fillRow);
    byId("streams-filter").addEventListener("input", () => this.#show());
    byId("streams-order").addEventListener("change", () => this.#show());
  }

  /** Show the newest answer. `overHttp` counts the viewers of segments, by the name of the stream. */
  update(overHttp) {
    this.#asked = true;
    this.#overHttp = overHttp;
    this.#show();
  }

  #show() {
    const wanted = byId("streams-filter").value.trim().toLowerCase();
    const all = this.#history.streams;
    const found = all.filter((stream) => stream.name.toLowerCase().includes(wanted));
    found.sort(ORDERS[byId("streams-order").value](this.#history, (stream) => this.#outputs(stream)));
    this.#list.show(found);
    this.#showEmpty(all.length, found.length, wanted);
    setText(byId("streams-count"), found.length === all.length ? `${all.length} live` : `${found.length} of ${all.length}`);
  }

  #showEmpty(all, found, wanted) {
    const place = byId("streams-empty");
    place.hidden = found > 0 || !this.#asked;
    if (place.hidden) return;
    const message = all
      ? notice("No stream is called that", `${all} streams are live; none has “${wanted}” in its name.`)
      : notice("No stream is live", "A stream appears here as soon as somebody publishes one. With ffmpeg, for example:", example());
    place.replaceChildren(message);
  }

  #outputs(stream) {
    return outputs(stream) + (this.#overHttp[stream.name] ?? 0);
  }

  #makeRow() {
    const button = make("button", { type: "button", className: "stream", on: { click: () => this.#onOpen(row.stream) } });
    const row = make("div", { className: "row", role: "listitem" }, button);
    row.parts = {
      name: make("span", { className: "stream-name" }),
      tracks: make("span", { className: "stream-tracks" }),
      curve: make("canvas", { className: "curve", aria: { hidden: "true" } }),
      rate: make("span", { className: "stream-rate" }),
      outputs: make("span", { className: "stream-outputs" }),
      time: make("span", { className: "stream-time" }),
    };
    button.append(...Object.values(row.parts));
    return row;
  }

  #fill(row, stream) {
    const { parts } = row;
    const rates = this.#history.rates(stream.uniqueId);
    row.stream = stream;
    setText(parts.name, stream.name);
    setText(parts.tracks, tracksOf(stream));
    setText(parts.rate, rates.length ? bitRate(rates.at(-1)) : "…");
    const all = this.#outputs(stream);
    setText(parts.outputs, all === 1 ? "1 output" : `${all} outputs`);
    parts.outputs.title = `${outputs(stream)} connected, ${all - outputs(stream)} over HTTP`;
    setText(parts.time, duration(stream.upTime));
    drawCurve(parts.curve, rates, LENGTH);
  }
}

const example = () =>
  `ffmpeg -re -f lavfi -i testsrc2 -pix_fmt yuv420p -c:v libx264 -g 50 -f flv ${publishAddress("mine")}`;
