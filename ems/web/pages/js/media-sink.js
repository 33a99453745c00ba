// The way of MP4 bytes into a video element: Media Source Extensions (W3C), or ManagedMediaSource where a browser has only
// that (iPhones since iOS 17.1).
//
// A SourceBuffer takes one append at a time, so messages wait in a queue; what has piled up goes in one append. A new
// initialisation segment may change the codec (changeType) but not the number and kinds of tracks: for that it takes a new sink.

import { mimeType } from "./mp4.js";
import { ranges, removable } from "./live-edge.js";

/** Bytes that may wait for a SourceBuffer that takes nothing: about ten seconds of 20 Mbit/s. Beyond them the sink fails. */
const LONGEST_QUEUE = 24 << 20;

const ManagedSource = globalThis.ManagedMediaSource;
const Source = globalThis.MediaSource ?? ManagedSource;

/** Why this browser cannot play tracks, or "" when it can. */
export function whyNot(tracks) {
  if (!Source) return "This browser has no Media Source Extensions";
  if (tracks.length === 0) return "The stream has no track";
  const type = mimeType(tracks);
  return Source.isTypeSupported(type) ? "" : `This browser does not play ${type}`;
}

const kinds = (tracks) => tracks.map((track) => track.kind).join();

/** Takes the place of whatever `video` plays. `onFailure` is called once, with the reason, when nothing more can be appended. */
export class MediaSink {
  #video;
  #onFailure;
  #source = new Source();
  #buffer = null;
  #url = "";
  #queue = [];
  #queued = 0;
  #tracks;
  #type;

  constructor(video, tracks, onFailure) {
    this.#video = video;
    this.#tracks = tracks;
    this.#type = mimeType(tracks);
    this.#onFailure = onFailure;
    this.#source.addEventListener("sourceopen", () => this.#open(), { once: true });
    if (ManagedSource && Source === ManagedSource) {
      // Apple's condition for a managed source: no AirPlay, or another address for it.
      video.disableRemotePlayback = true;
    }
    this.#url = URL.createObjectURL(this.#source);
    video.src = this.#url;
  }

  /** Whether tracks of a new initialisation segment can follow the ones before in this sink. */
  fits(tracks) {
    return kinds(tracks) === kinds(this.#tracks) && (mimeType(tracks) === this.#type || "changeType" in SourceBuffer.prototype);
  }

  /** What is buffered, as TimeRanges; null before the source is open. */
  get buffered() {
    return this.#buffer && this.#source.readyState === "open" ? this.#buffer.buffered : null;
  }

  /** Append an initialisation segment with these tracks. */
  appendInit(bytes, tracks) {
    this.#tracks = tracks;
    this.#enqueue({ bytes, type: mimeType(tracks) });
  }

  /** Append a fragment, or several. */
  append(bytes) {
    this.#enqueue({ bytes, type: "" });
  }

  /** Forget everything; the video element keeps its picture until something else takes it. */
  close() {
    this.#onFailure = null;
    this.#queue = [];
    this.#buffer = null;
    URL.revokeObjectURL(this.#url);
  }

  #open() {
    if (!this.#onFailure) return;
    try {
      this.#buffer = this.#source.addSourceBuffer(this.#type);
    } catch (error) {
      this.#fail(error.message);
      return;
    }
    this.#buffer.mode = "segments";
    this.#buffer.addEventListener("updateend", () => this.#pump());
    this.#buffer.addEventListener("error", () => this.#fail("the browser could not read a fragment"));
    this.#pump();
  }

  #enqueue(item) {
    this.#queue.push(item);
    this.#queued += item.bytes.byteLength;
    if (this.#queued > LONGEST_QUEUE) this.#fail("the browser takes the media too slowly");
    else this.#pump();
  }

  #pump() {
    const buffer = this.#buffer;
    if (!buffer || buffer.updating || this.#source.readyState !== "open") return;
    try {
      if (this.#removeOld() || this.#queue.length === 0) return;
      const { type } = this.#queue[0];
      if (type && type !== this.#type) {
        buffer.changeType(type);
        this.#type = type;
      }
      const count = this.#together();
      const bytes = this.#queue.slice(0, count).map((item) => item.bytes);
      buffer.appendBuffer(count === 1 ? bytes[0] : joined(bytes));
      this.#queue.splice(0, count);
      this.#queued -= bytes.reduce((sum, one) => sum + one.byteLength, 0);
    } catch (error) {
      if (error.name !== "QuotaExceededError" || !this.#makeRoom()) this.#fail(error.message);
    }
  }

  // How many of the queue can go in one append: up to the next initialisation segment.
  #together() {
    const next = this.#queue.findIndex((item, index) => index > 0 && item.type);
    return next < 0 ? this.#queue.length : next;
  }

  #removeOld() {
    const old = removable(this.#video.currentTime, ranges(this.#buffer.buffered));
    if (old) this.#buffer.remove(...old);
    return Boolean(old);
  }

  // The browser's buffer is full: everything but the last second behind the playing position goes.
  #makeRoom() {
    const { buffered } = this.#buffer;
    const to = this.#video.currentTime - 1;
    if (buffered.length === 0 || buffered.start(0) >= to) return false;
    this.#buffer.remove(buffered.start(0), to);
    return true;
  }

  #fail(reason) {
    const tell = this.#onFailure;
    this.#onFailure = null;
    tell?.(reason);
  }
}

function joined(parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(new Uint8Array(part), offset);
    offset += part.byteLength;
  }
  return whole;
}
