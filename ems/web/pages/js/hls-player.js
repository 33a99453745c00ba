// Plays HLS: with hls.js where Media Source Extensions are there, otherwise with what the browser brings along (Safari).
//
// hls.js is fetched when the server is installed (tools/get-players.py); without it and without native HLS the player says so.

const LIBRARY = new URL("../vendor/hls/hls.min.mjs", import.meta.url).href;
const WORKER = new URL("../vendor/hls/hls.worker.js", import.meta.url).href;

const NATIVE = "application/vnd.apple.mpegurl";

/** Milliseconds before a playlist that is not there, or a live stream that broke off, is asked for again. */
const RETRY_AFTER = 2000;

/** Seconds into a fragment at which playing begins anew: no rounding puts that into the fragment before. */
const INTO_FRAGMENT = 0.3;

/**
 * Plays the playlist `url` in a video element. `native` prefers the browser's own player. A pause stays where it is: playback
 * goes on from there, for as long as the playlist reaches back.
 */
export class HlsPlayer {
  #video;
  #url;
  #native;
  #onState;
  #log;
  #hls = null;
  #retry = 0;
  #stopped = false;
  #listening = new AbortController();

  constructor(video, url, { native = false, onState = () => {}, log = () => {} } = {}) {
    this.#video = video;
    this.#url = url;
    this.#native = native;
    this.#onState = onState;
    this.#log = log;
  }

  /** Load and play. */
  async play() {
    const { signal } = this.#listening;
    this.#video.addEventListener("playing", () => this.#onState("playing", ""), { signal });
    this.#video.addEventListener("pause", () => this.#onPause(), { signal });
    this.#video.addEventListener("error", () => this.#onVideoError(), { signal });
    this.#onState("connecting", "");
    const Hls = this.#native ? null : await library();
    if (this.#stopped) return;
    if (Hls?.isSupported()) this.#playWith(Hls);
    else if (this.#video.canPlayType(NATIVE)) this.#playNatively();
    else this.#onState("cannot be played", "This browser needs hls.js for HLS; on the server, run: python3 tools/get-players.py");
  }

  /** End it; the video element is empty afterwards. */
  stop() {
    this.#stopped = true;
    this.#listening.abort();
    clearTimeout(this.#retry);
    this.#hls?.destroy();
    this.#video.removeAttribute("src");
    this.#video.load();
    this.#onState("stopped", "");
  }

  /** Seconds behind the live edge, as far as the player knows, and how it plays. */
  stats() {
    const quality = this.#video.getVideoPlaybackQuality?.() ?? {};
    return {
      latency: this.#hls?.latency || 0,
      rate: this.#video.playbackRate,
      frames: quality.totalVideoFrames ?? 0,
      dropped: quality.droppedVideoFrames ?? 0,
      by: this.#hls ? "hls.js" : "the browser",
    };
  }

  #playWith(Hls) {
    const hls = new Hls({ lowLatencyMode: true, maxLiveSyncPlaybackRate: 1.1, backBufferLength: 30, workerPath: WORKER });
    this.#hls = hls;
    hls.on(Hls.Events.ERROR, (_, error) => this.#onError(Hls, error));
    hls.on(Hls.Events.MANIFEST_PARSED, () => this.#start());
    hls.loadSource(this.#url);
    hls.attachMedia(this.#video);
  }

  #playNatively() {
    this.#video.src = this.#url;
    this.#start();
  }

  #start() {
    this.#video.play().catch((error) => error.name === "NotAllowedError" && this.#onState("press Play", error.message));
  }

  #onError(Hls, error) {
    this.#log(`hls.js: ${error.details}${error.fatal ? ", fatal" : ""}`);
    if (!error.fatal || !this.#hls) return;
    if (error.details === Hls.ErrorDetails.BUFFER_APPEND_ERROR && error.frag) this.#beginBehind(error.frag);
    else if (error.type === Hls.ErrorTypes.MEDIA_ERROR) this.#hls.recoverMediaError();
    else this.#again(error.response?.code === 404 ? "There is no such playlist yet" : error.details);
  }

  // A media source takes no track that it did not have from the beginning, as when a source gets sound later: a new one
  // begins a little behind the start of the fragment, or it would ask for the fragment before, which has no such track.
  #beginBehind(fragment) {
    const start = Math.max(fragment.start, this.#video.currentTime) + INTO_FRAGMENT;
    this.#hls.recoverMediaError();
    this.#hls.startLoad(start);
    this.#video.addEventListener("loadedmetadata", () => (this.#video.currentTime = start), { once: true });
  }

  // hls.js tells of its own errors.
  #onVideoError() {
    if (!this.#hls && this.#video.error) this.#again(this.#video.error.message || "it broke off");
  }

  #again(reason) {
    this.#onState("connecting again", `${reason}; again in ${RETRY_AFTER / 1000} s`);
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => {
      if (this.#hls) this.#hls.loadSource(this.#url);
      else this.#playNatively();
    }, RETRY_AFTER);
  }

  // Whoever pauses wants to go on from there, not to be hurried back to the live edge.
  #onPause() {
    if (this.#hls) this.#hls.config.maxLiveSyncPlaybackRate = 1;
    this.#onState("paused", "");
  }
}

let loaded = null;

// The library, or null where it is not installed. A failure is not remembered: it may be installed meanwhile.
async function library() {
  try {
    loaded ??= (await import(LIBRARY)).default;
  } catch {
    loaded = null;
  }
  return loaded;
}
