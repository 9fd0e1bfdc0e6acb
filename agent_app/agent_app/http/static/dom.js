// What the views share. Text is only ever set as text: nothing that a model says becomes markup.

export const find = (id) => document.getElementById(id);

/** An element; `properties` are its own, `class` and `data-`, `aria-` attributes included. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class" || name.includes("-")) element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}

/** Shows a text, or hides the element where there is none. */
export function show(element, text = "") {
  element.textContent = text;
  element.hidden = !text;
}

/** Tells a screen reader. */
export function tell(text) {
  find("told").textContent = text;
}

const SECONDS = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "short" });

/** How long ago, in words. */
export function ago(time) {
  const seconds = Math.min(0, (new Date(time) - Date.now()) / 1000);
  for (const [unit, size] of [["day", 86400], ["hour", 3600], ["minute", 60]]) {
    if (-seconds >= size) return SECONDS.format(Math.round(seconds / size), unit);
  }
  return -seconds < 5 ? "just now" : SECONDS.format(Math.round(seconds), "second");
}

/** A `time` element. */
export function moment(time) {
  return make("time", { dateTime: time, title: new Date(time).toLocaleString() }, ago(time));
}

/** Fills the list of agents, and says of each what it does. */
export function offer(select, about, agents) {
  const chosen = select.value;
  select.replaceChildren(...agents.map((agent) => make("option", { value: agent.name }, agent.name)));
  if (agents.some((agent) => agent.name === chosen)) select.value = chosen;
  const describe = () => {
    about.textContent = agents.find((agent) => agent.name === select.value)?.description ?? "";
  };
  select.onchange = describe;
  describe();
}
