// Tasks: submitted, watched until they end, cancelled.

import { call, get, post } from "./api.js";
import { find, make, moment, show, tell } from "./dom.js";

const SOON = 1000; // ms, while something is under way
const LATER = 10000;
const PAGE = 20;
const ENDED = new Set(["succeeded", "failed", "cancelled"]);

const list = find("task-list");
const input = find("input");
const shown = new Map(); // by id: what a refresh changes, so that focus and open results stay

let limit = PAGE;
let timer = null;
let here = false;
let unsure = null; // the task that was last sent, while it is not known to be taken

export function enter() {
  here = true;
  refresh();
}

export function leave() {
  here = false;
  clearTimeout(timer);
}

async function refresh() {
  clearTimeout(timer);
  let wait = LATER;
  try {
    const status = find("filter").value;
    const { tasks } = await get(`v1/tasks?limit=${limit}${status ? `&status=${status}` : ""}`);
    draw(tasks);
    if (tasks.some((task) => !ENDED.has(task.status))) wait = SOON;
    show(find("list-problem"));
  } catch (error) {
    show(find("list-problem"), error.message);
  }
  clearTimeout(timer);
  if (here && !document.hidden) timer = setTimeout(refresh, wait);
}

function draw(tasks) {
  const ids = new Set(tasks.map((task) => task.task_id));
  for (const [id, card] of shown) {
    if (!ids.has(id)) {
      card.item.remove();
      shown.delete(id);
    }
  }
  tasks.forEach((task, place) => {
    if (!shown.has(task.task_id)) shown.set(task.task_id, newCard(task));
    const card = shown.get(task.task_id);
    card.update(task);
    if (list.children[place] !== card.item) list.insertBefore(card.item, list.children[place] ?? null);
  });
  find("no-tasks").hidden = tasks.length > 0;
  find("more").hidden = tasks.length < limit;
}

function newCard({ task_id: id, agent, created_at: created }) {
  const state = make("span", { class: "state" });
  const about = make("span", { class: "hint" });
  const error = make("p", { class: "problem" });
  const result = make("pre", { tabIndex: 0, "aria-label": "Result" });
  const opened = make("details", {}, make("summary", {}, "Result"), result);
  const cancel = make("button", { type: "button", "aria-label": `Cancel the task of ${agent}` }, "Cancel");
  const item = make(
    "li",
    { class: "card task", "data-task": id },
    make("div", { class: "row" }, state, make("strong", {}, agent), about, cancel),
    error,
    opened,
    make("p", { class: "hint id" }, id),
  );
  let last = null;
  const update = (task) => {
    const ended = ENDED.has(task.status);
    const cancelling = task.cancel_requested && !ended;
    state.textContent = cancelling ? "cancelling" : task.status;
    item.dataset.state = task.status;
    about.replaceChildren(moment(created), task.attempts > 1 ? ` · try ${task.attempts}` : "");
    show(error, task.error ?? "");
    opened.hidden = task.status !== "succeeded";
    cancel.hidden = ended;
    cancel.disabled = cancelling;
    if (last && last !== task.status) tell(`The task of ${agent} is ${task.status}.`);
    last = task.status;
  };
  opened.addEventListener("toggle", async () => {
    if (!opened.open || result.textContent) return;
    try {
      const value = await get(`v1/tasks/${id}/result`);
      result.textContent = typeof value === "string" ? value : JSON.stringify(value, null, 2);
    } catch (problem) {
      opened.open = false;
      show(error, problem.message);
    }
  });
  cancel.addEventListener("click", async () => {
    cancel.disabled = true;
    try {
      update(await post(`v1/tasks/${id}/cancel`));
      refresh();
    } catch (problem) {
      cancel.disabled = false;
      show(error, problem.message);
    }
  });
  return { item, update };
}

function wanted() {
  const text = input.value;
  if (find("submit-task").elements.form.value === "text") return text;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`The input is not JSON: ${error.message}`);
  }
}

/** The same for the same task until it is taken: a request whose answer was lost is not a second task. */
function keyOf(body) {
  const text = JSON.stringify(body);
  if (unsure?.text !== text) unsure = { text, key: `page-${Date.now()}-${Math.random().toString(36).slice(2)}` };
  return unsure.key;
}

find("submit-task").addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = event.submitter;
  const problem = find("task-problem");
  show(problem);
  button.disabled = true;
  try {
    const body = { agent: find("task-agent").value || null, input: wanted() };
    await call("v1/tasks", { method: "POST", body, headers: { "Idempotency-Key": keyOf(body) } });
    input.value = "";
    unsure = null;
    tell("The task is submitted.");
    await refresh();
  } catch (error) {
    show(problem, error.message);
    input.focus();
  } finally {
    button.disabled = false;
  }
});
find("submit-task").addEventListener("change", (event) => {
  if (event.target.name !== "form") return;
  const json = event.target.value === "json";
  input.placeholder = json ? '{"seconds": 5}' : "What is to be done?";
  input.classList.toggle("code", json);
  input.spellcheck = !json;
});
find("filter").addEventListener("change", refresh);
find("more").addEventListener("click", () => {
  limit = Math.min(limit + PAGE, 1000);
  refresh();
});
document.addEventListener("visibilitychange", () => {
  if (here && !document.hidden) refresh();
});
