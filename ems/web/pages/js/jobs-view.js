// What the server has been told to do and keeps doing: pulls, pushes, segmenters, recordings, each with its state and reason.

import { byId, make, notice, setText } from "./dom.js";
import { clockTime } from "./format.js";

const KINDS = {
  pull: "Pull",
  push: "Push",
  hls: "HLS",
  hds: "HDS",
  dash: "DASH",
  mss: "Smooth Streaming",
  record: "Recording",
  process: "Process",
  webrtc: "WebRTC",
  metalistener: "Metadata listener",
};

/** The look of a state, by its code: 0 streams, 1 connecting, 2 waiting, 3 connected, 4 disconnected, 5 failed. */
const LOOKS = ["good", "busy", "busy", "good", "bad", "bad"];

/** Shows answers of listConfig. */
export class JobsView {
  #shown = "";

  update(lists) {
    // Nothing is touched unless something has changed, so that a text can be selected.
    const now = JSON.stringify(lists);
    if (now === this.#shown) return;
    this.#shown = now;
    const jobs = Object.entries(lists).flatMap(([kind, list]) => list.map((job) => ({ kind, job })));
    jobs.sort((one, other) => one.job.configId - other.job.configId);
    setText(byId("jobs-count"), jobs.length ? `${jobs.length} configured` : "");
    byId("jobs-list").replaceChildren(...jobs.map(({ kind, job }) => row(kind, job)));
    byId("jobs-empty").hidden = jobs.length > 0;
    byId("jobs-empty").replaceChildren(
      notice("Nothing is configured", "Pulls, pushes, HLS groups and recordings that commands have set going are listed here. The API page can begin one."),
    );
  }
}

function row(kind, job) {
  const status = job.status?.current ?? {};
  const since = status.timestamp ? ` since ${clockTime(status.timestamp * 1000)}` : "";
  return make(
    "li",
    { className: "job" },
    make("span", { className: "job-kind", textContent: KINDS[kind] ?? kind }),
    make("span", { className: "job-what", textContent: whatOf(job) }),
    make(
      "span",
      { className: `job-state ${LOOKS[status.code] ?? "busy"}` },
      make("strong", { textContent: status.description ?? "no state" }),
      make("span", { textContent: since }),
    ),
    make("span", { className: "job-reason", textContent: status.reason ?? "" }),
    make("a", { className: "job-remove", href: `#api/removeConfig?id=${job.configId}`, textContent: `Remove ${job.configId}…` }),
  );
}

// From where to where, in the words of the configuration.
function whatOf(job) {
  const names = [job.localStreamNames ?? job.localStreamName ?? job.streamNames ?? []].flat().join(", ");
  const target = job.targetUri ?? job.targetFolder ?? job.pathToFile ?? job.fullBinaryPath ?? "";
  const from = job.uri ? (typeof job.uri === "string" ? job.uri : job.uri.fullUri ?? "") : "";
  const group = job.groupName ? `group ${job.groupName}` : "";
  return [from, names, group, String(target)].filter(Boolean).join(" → ");
}
