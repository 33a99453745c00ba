// Making and changing elements. Whatever comes from the server goes through `textContent` or an attribute's value, never
// through innerHTML: a stream may be called "<img onerror=…>", and has to be shown by that name.

/**
 * A new element. `properties` are DOM properties (className, type, …); those of `aria` and `on` are attributes and listeners.
 * Children are elements or texts.
 */
export function make(tag, properties = {}, ...children) {
  const { aria = {}, on = {}, data = {}, role, ...rest } = properties;
  const element = document.createElement(tag);
  Object.assign(element, rest);
  Object.assign(element.dataset, data);
  if (role) element.setAttribute("role", role);
  for (const [name, value] of Object.entries(aria)) element.setAttribute(`aria-${name}`, value);
  for (const [name, listener] of Object.entries(on)) element.addEventListener(name, listener);
  element.append(...children.filter((one) => one !== null && one !== undefined));
  return element;
}

/** The element of this id; an error that names it when the page has none. */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no element #${id}`);
  return found;
}

/** Show a text, without touching the page when it is there already. */
export function setText(element, text) {
  const shown = String(text);
  if (element.textContent !== shown) element.textContent = shown;
}

/** A message in place of what is not there: a headline, an explanation, and perhaps a line to copy into a terminal. */
export function notice(headline, explanation, command = "") {
  return make(
    "div",
    { className: "notice" },
    make("h3", { textContent: headline }),
    make("p", { textContent: explanation }),
    command ? make("pre", { className: "command", textContent: command }) : null,
  );
}
