// Which view is shown: `#/chat`, `#/chat/<session>` or `#/tasks`.

import { get } from "./api.js";
import * as chat from "./chat.js";
import { find, offer } from "./dom.js";
import { forget } from "./key.js";
import * as tasks from "./tasks.js";

const VIEWS = { chat, tasks };

function route() {
  const [, name = "chat", argument = ""] = location.hash.split("/");
  const shown = VIEWS[name] ? name : "chat";
  for (const [other, view] of Object.entries(VIEWS)) {
    find(other).hidden = other !== shown;
    if (other !== shown) view.leave();
  }
  for (const link of document.querySelectorAll("[data-view]")) {
    if (link.dataset.view === shown) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  VIEWS[shown].enter(decodeURIComponent(argument));
}

async function agents() {
  try {
    const known = (await get("v1/agents")).agents;
    offer(find("chat-agent"), find("chat-about"), known);
    offer(find("task-agent"), find("task-about"), known);
  } catch (error) {
    find("chat-about").textContent = error.message;
    find("task-about").textContent = error.message;
  }
}

async function fleet() {
  const { fleet } = await get("healthz");
  find("fleet").textContent = fleet;
  document.title = `${fleet} · Agents`;
}

find("forget").addEventListener("click", () => {
  forget();
  location.hash = "#/chat";
  location.reload();
});
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address is the view's
  find("main").focus();
});
addEventListener("hashchange", route);
fleet().catch(() => {});
agents();
route();
