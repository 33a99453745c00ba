// A list of any length of which only the rows in sight exist. Rows are made once and used again for other items, so five
// hundred streams that change every two seconds cost as much as the dozen that one sees.

/** Rows beyond the visible ones, so that scrolling shows no gap. */
const SPARE = 4;

/**
 * Fills `list`, an element with role "list" inside the scrolling element `viewport`. `makeRow()` gives a new row element,
 * `fillRow(row, item)` shows an item in it. All rows have the height of the CSS variable --row-height.
 */
export class VirtualList {
  #viewport;
  #list;
  #makeRow;
  #fillRow;
  #rows = [];
  #items = [];
  #waiting = false;

  constructor(viewport, list, makeRow, fillRow) {
    this.#viewport = viewport;
    this.#list = list;
    this.#makeRow = makeRow;
    this.#fillRow = fillRow;
    viewport.addEventListener("scroll", () => this.#later(), { passive: true });
    new ResizeObserver(() => this.#later()).observe(viewport);
  }

  /** Show these items from now on; the scroll position stays. */
  show(items) {
    this.#items = items;
    this.#later();
  }

  #later() {
    if (this.#waiting) return;
    this.#waiting = true;
    requestAnimationFrame(() => {
      this.#waiting = false;
      this.#render();
    });
  }

  // Reads of the layout first, then writes only.
  #render() {
    const height = parseFloat(getComputedStyle(this.#list).getPropertyValue("--row-height"));
    const visible = Math.ceil(this.#viewport.clientHeight / height);
    const first = Math.max(0, Math.min(Math.floor(this.#viewport.scrollTop / height), this.#items.length - visible) - SPARE);
    const count = Math.min(this.#items.length - first, visible + 2 * SPARE);
    this.#list.style.height = `${this.#items.length * height}px`;
    this.#resize(count);
    this.#rows.forEach((row, index) => {
      row.style.transform = `translateY(${(first + index) * height}px)`;
      row.setAttribute("aria-posinset", first + index + 1);
      row.setAttribute("aria-setsize", this.#items.length);
      this.#fillRow(row, this.#items[first + index]);
    });
  }

  #resize(count) {
    while (this.#rows.length > count) this.#rows.pop().remove();
    while (this.#rows.length < count) {
      const row = this.#makeRow();
      this.#rows.push(row);
      this.#list.append(row);
    }
  }
}
