// The dashboard: asks the server every two seconds, once for all views, and shows the view that the address names.

import { useServices } from "./addresses.js";
import { ApiError, call } from "./api.js";
import { ConsoleView } from "./console-view.js";
import { byId, setText } from "./dom.js";
import { EventsView } from "./events-view.js";
import { bitRate } from "./format.js";
import { JobsView } from "./jobs-view.js";
import { RateHistory } from "./rate-history.js";
import { StreamPanel } from "./stream-panel.js";
import { StreamsView } from "./streams-view.js";

/** Milliseconds between an answer and the next question; a server that takes long to answer is asked less often. */
const PAUSE = 2000;
const PAUSE_PER_ANSWER = 5;
/** How long the pause grows to while the server does not answer. */
const LONGEST_PAUSE = 10_000;

const VIEWS = ["streams", "jobs", "events", "api"];

const history = new RateHistory();
let jobs = {};
const panel = new StreamPanel(history, () => jobs);
const streamsView = new StreamsView(history, (stream) => panel.open(stream));
const jobsView = new JobsView();
const consoleView = new ConsoleView();
new EventsView();
let failures = 0;
let introduced = false;

async function introduce() {
  const [version, services] = await Promise.all([call("version"), call("listServices")]);
  setText(byId("version"), version?.releaseNumber ?? version?.buildNumber ?? "");
  useServices(services);
  introduced = true;
}

async function ask() {
  const began = performance.now();
  try {
    if (!introduced) await introduce();
    const [streams, configuration, clients, overHttp] = await Promise.all([
      call("listInboundStreams"),
      call("listConfig"),
      call("clientsConnected"),
      call("httpClientsConnected").catch(() => null),
    ]);
    jobs = configuration ?? {};
    history.update(streams ?? []);
    show(clients?.outboundCount ?? 0, overHttp);
    failures = 0;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    failures += 1;
    introduced = false;
    showTrouble(error);
  }
  return performance.now() - began;
}

function show(connected, overHttp) {
  byId("trouble").hidden = true;
  document.body.classList.remove("stale");
  setText(byId("total-streams"), history.streams.length);
  const total = history.total();
  setText(byId("total-rate"), total === null ? "…" : bitRate(total));
  setText(byId("total-viewers"), connected + (overHttp?.httpStreamingSessionsCount ?? 0));
  streamsView.update(overHttp?.streams ?? {});
  jobsView.update(jobs);
  panel.update();
}

function showTrouble(error) {
  byId("trouble").hidden = false;
  setText(byId("trouble"), error.advice);
  document.body.classList.add("stale");
}

async function poll() {
  let took = 0;
  try {
    // A page that nobody looks at does not ask.
    if (!document.hidden) took = await ask();
  } finally {
    const pause = failures ? Math.min(LONGEST_PAUSE, PAUSE * failures) : Math.max(PAUSE, took * PAUSE_PER_ANSWER);
    setTimeout(poll, pause);
  }
}

function route() {
  const [name, ...rest] = location.hash.slice(1).split("/");
  const wanted = VIEWS.includes(name) ? name : "streams";
  for (const view of VIEWS) {
    byId(`view-${view}`).hidden = view !== wanted;
    const link = byId(`link-${view}`);
    if (view === wanted) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (wanted === "api") consoleView.open(rest.join("/"));
}

addEventListener("hashchange", route);
route();
poll();
