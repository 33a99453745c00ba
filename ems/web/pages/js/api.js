// The server's runtime API as pages reach it: below /api/ of the web server that they come from.

const BASE = new URL("../api/", import.meta.url);

/** A call that did not succeed. `status` is the HTTP status, 0 when there was no answer at all. */
export class ApiError extends Error {
  constructor(message, status = 0, reply = null) {
    super(message);
    this.status = status;
    this.reply = reply;
  }

  /** What a person can do about it. */
  get advice() {
    if (this.status === 0) return "The server does not answer. This page keeps trying.";
    if (this.status === 401 || this.status === 403) {
      return "The server gives its API to this machine only, or to those who log in. Open this page as http://127.0.0.1:8888/ on "
        + "the server itself, or set apiProxy with userName and password in webconfig.lua.";
    }
    return this.message;
  }
}

async function request(path, options) {
  let response, text;
  try {
    response = await fetch(new URL(path, BASE), { cache: "no-store", ...options });
    // The connection may still break off in the middle of the answer.
    text = await response.text();
  } catch (error) {
    throw new ApiError(`The server does not answer (${error.message})`);
  }
  let reply = null;
  try {
    reply = JSON.parse(text);
  } catch {
    throw new ApiError(`The server answered ${response.status} ${response.statusText}`, response.status);
  }
  if (!response.ok) throw new ApiError(reply.description ?? response.statusText, response.status, reply);
  return reply;
}

/** The whole reply to a command: {data, description, status}. Throws ApiError when it failed. */
export function execute(command, parameters = {}) {
  const options = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(parameters) };
  return request(encodeURIComponent(command), options);
}

/** The data of a command's reply. Throws ApiError. */
export async function call(command, parameters = {}) {
  return (await execute(command, parameters)).data;
}

/** The OpenAPI description of all commands. Throws ApiError. */
export function description() {
  return request("");
}

/** The address of the API, for people. */
export const address = BASE.href;

/** Where the server's events come from, as Server-Sent Events. */
export const eventsAddress = new URL("events", BASE).href;
