// The list of conversations.

import { call, get } from "./api.js";
import { find, make, moment, show, tell } from "./dom.js";

const list = find("sessions");

/** Shows the newest ones; the `current()` one is marked, `gone` is told of one that was deleted. */
export async function refresh(current, gone) {
  const { sessions } = await get("v1/sessions?limit=50");
  list.replaceChildren(...sessions.map((session) => entry(session, gone)));
  mark(current());
  empty(sessions.length === 0);
}

function empty(is) {
  show(find("no-sessions"), is ? "None yet. What is said here is kept." : "");
}

/** Marks the one that is open. */
export function mark(current) {
  for (const link of list.querySelectorAll("a")) {
    if (link.dataset.session === current) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}

function entry(session, gone) {
  const title = session.title || session.session_id;
  const link = make(
    "a",
    { href: `#/chat/${encodeURIComponent(session.session_id)}`, "data-session": session.session_id },
    make("span", { class: "title" }, title),
    make("span", { class: "hint" }, moment(session.updated_at), ` · ${session.turns} ${session.turns === 1 ? "turn" : "turns"}`),
  );
  const remove = make("button", { type: "button", class: "quiet remove", title: "Delete", "aria-label": `Delete “${title}”` }, "×");
  const item = make("li", {}, link, remove);
  remove.addEventListener("click", async () => {
    // The first click asks, the second one deletes; the way back is to look elsewhere.
    if (!item.classList.contains("sure")) {
      item.classList.add("sure");
      remove.textContent = "Delete?";
      remove.addEventListener("blur", () => {
        item.classList.remove("sure");
        remove.textContent = "×";
      }, { once: true });
      return;
    }
    try {
      await call(`v1/sessions/${encodeURIComponent(session.session_id)}`, { method: "DELETE" });
    } catch (error) {
      if (error.status !== 404) return tell(error.message);
    }
    item.remove();
    empty(list.children.length === 0);
    tell("The conversation is deleted.");
    find("new").focus();
    gone(session.session_id);
  });
  return item;
}
