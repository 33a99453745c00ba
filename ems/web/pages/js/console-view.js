// A console for the runtime API, made from the server's own OpenAPI description: choose a command, fill in its form, see the
// answer. The address #api/removeConfig?id=7 opens a command with values filled in; nothing runs before it is asked to.

import { address, ApiError, description, execute } from "./api.js";
import { byId, make, notice, setText } from "./dom.js";

/** The view; `open` is called with what stands in the address behind #api. */
export class ConsoleView {
  #commands = new Map();
  #fields = [];
  #current = null;

  constructor() {
    byId("console-search").addEventListener("input", () => this.#list());
    byId("console-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#run();
    });
    byId("console-form").addEventListener("input", () => this.#showCall());
  }

  /** Show a command: "removeConfig?id=7"; "" shows the list only. */
  async open(target) {
    if (this.#commands.size === 0 && !(await this.#load())) return;
    const [name, query = ""] = target.split("?");
    const command = this.#commands.get(decodeURIComponent(name).toLowerCase());
    if (command) this.#choose(command, new URLSearchParams(query));
    this.#list();
  }

  async #load() {
    try {
      const { paths } = await description();
      for (const [path, { post }] of Object.entries(paths)) {
        this.#commands.set(post.operationId.toLowerCase(), { name: path.slice(1), ...post });
      }
      byId("console-error").hidden = true;
      return true;
    } catch (error) {
      byId("console-error").hidden = false;
      byId("console-error").replaceChildren(notice("The list of commands is not available", error.advice ?? error.message));
      return false;
    }
  }

  #list() {
    const words = byId("console-search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const groups = new Map();
    for (const command of this.#commands.values()) {
      const text = `${command.name} ${command.summary}`.toLowerCase();
      if (!words.every((word) => text.includes(word))) continue;
      const group = command.tags?.[0] ?? "commands";
      if (!groups.has(group)) groups.set(group, []);
      groups.get(group).push(command);
    }
    const sorted = [...groups].sort(([one], [other]) => one.localeCompare(other));
    const shown = sorted.map(([group, commands]) => this.#group(group, commands));
    byId("console-commands").replaceChildren(...(shown.length ? shown : [make("p", { textContent: "No command has these words." })]));
  }

  #group(name, commands) {
    const links = commands.map((command) =>
      make(
        "li",
        {},
        make("a", {
          href: `#api/${encodeURIComponent(command.name)}`,
          textContent: command.name,
          title: command.summary,
          className: command["x-implemented"] === false ? "missing" : "",
          aria: command === this.#current ? { current: "true" } : {},
        }),
      ),
    );
    return make("section", {}, make("h4", { textContent: name.replaceAll("_", " ") }), make("ul", {}, ...links));
  }

  #choose(command, values) {
    this.#current = command;
    const schema = command.requestBody?.content?.["application/json"]?.schema ?? {};
    setText(byId("console-title"), command.name);
    setText(byId("console-summary"), command["x-implemented"] === false ? `${command.summary} (not in this version)` : command.summary);
    const required = schema.required ?? [];
    this.#fields = Object.entries(schema.properties ?? {})
      .sort(([one], [other]) => rank(one, required, values) - rank(other, required, values))
      .map(([name, property]) => field(name, property, required.includes(name), values.get(name)));
    byId("console-fields").replaceChildren(...this.#fields.map((one) => one.element));
    byId("console-form").hidden = false;
    byId("console-answer").hidden = true;
    this.#showCall();
  }

  // Only what was filled in is sent; the server knows its defaults.
  #parameters() {
    return Object.fromEntries(this.#fields.map((one) => [one.name, one.value()]).filter(([, value]) => value !== undefined));
  }

  #showCall() {
    const body = JSON.stringify(this.#parameters()).replaceAll("'", "'\\''");
    setText(byId("console-call"), `curl -d '${body}' ${new URL(this.#current.name, address).href}`);
  }

  async #run() {
    const button = byId("console-run");
    const began = performance.now();
    button.disabled = true;
    try {
      this.#answer(await execute(this.#current.name, this.#parameters()), began);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.#answer(error.reply ?? { status: "FAIL", description: error.advice, data: null }, began);
    } finally {
      button.disabled = false;
    }
  }

  #answer(reply, began) {
    const place = byId("console-answer");
    place.hidden = false;
    place.className = reply.status === "SUCCESS" ? "answer good" : "answer bad";
    setText(byId("console-status"), reply.status);
    setText(byId("console-description"), reply.description);
    setText(byId("console-time"), `${Math.round(performance.now() - began)} ms`);
    setText(byId("console-data"), JSON.stringify(reply.data, null, 2));
  }
}

// What is needed comes first, then what the address fills in, and last what every command has.
function rank(name, required, values) {
  if (required.includes(name)) return 0;
  if (values.has(name)) return 1;
  return name === "commandId" ? 3 : 2;
}

/** A form field for a parameter: {name, element, value()}; the value is undefined when nothing was filled in. */
function field(name, property, required, given) {
  const id = `parameter-${name}`;
  const item = property.type === "array" ? property.items : property;
  const control = property.type === "array" ? textControl(item, "text") : controlOf(item);
  Object.assign(control, { id, required });
  if (given !== null && given !== undefined) control.value = given;
  const facts = [property.type === "array" ? `list of ${item.type}, with commas` : property.type, range(item), defaultOf(property)];
  const element = make(
    "div",
    { className: "field" },
    make("label", { htmlFor: id }, name, required ? make("em", { textContent: " needed" }) : null),
    control,
    make("p", { id: `${id}-hint`, textContent: [property.description, facts.filter(Boolean).join(", ")].filter(Boolean).join(" — ") }),
  );
  control.setAttribute("aria-describedby", `${id}-hint`);
  return { name, element, value: () => valueOf(control.value, property) };
}

function controlOf(schema) {
  if (schema.enum) return choice(schema.enum);
  if (schema.type === "boolean") return choice(["true", "false"]);
  if (schema.type === "integer" || schema.type === "number") return textControl(schema, "number");
  return textControl(schema, "text");
}

function choice(values) {
  const texts = ["", ...values.map(String)];
  return make("select", {}, ...texts.map((value) => make("option", { value, textContent: value || "not given" })));
}

function textControl(schema, type) {
  const control = make("input", { type, autocomplete: "off", spellcheck: false });
  if (type === "number") {
    if (schema.minimum !== undefined) control.min = schema.minimum;
    if (Number.isSafeInteger(schema.maximum)) control.max = schema.maximum;
    control.step = schema.type === "integer" ? 1 : "any";
  }
  if (schema.default !== undefined) control.placeholder = String(schema.default);
  return control;
}

function range({ minimum, maximum }) {
  // The greatest 64-bit number is no limit that anybody has to know, and JavaScript cannot write it.
  const most = Number.isSafeInteger(maximum) || maximum % 1 ? maximum : undefined;
  return minimum === undefined && most === undefined ? "" : most === undefined ? `from ${minimum}` : `${minimum ?? "…"} to ${most}`;
}

const defaultOf = (property) => (property.default === undefined || property.default === "" ? "" : `default ${property.default}`);

function valueOf(text, property) {
  if (text.trim() === "") return undefined;
  if (property.type === "array") return text.split(",").map((one) => scalar(one.trim(), property.items.type));
  return scalar(text, property.type);
}

function scalar(text, type) {
  if (type === "boolean") return text === "true";
  // Beyond the precision of a JavaScript number the text is sent, which the server takes as well.
  if (type === "integer") return Number.isSafeInteger(Number(text)) ? Number(text) : text;
  return type === "number" ? Number(text) : text;
}
