// A conversation: what was said, and the answer as it is being told.

import { call, get, inWords } from "./api.js";
import { find, make, show, tell } from "./dom.js";
import { events } from "./events.js";
import * as sessions from "./sessions.js";

const scroll = find("scroll");
const said = find("said");
const message = find("message");
const wide = matchMedia("(min-width: 52rem)");

let session = "";
let asked = null; // the request in hand, to stop it

export async function enter(wanted) {
  drawer();
  list();
  if (wanted !== session || !said.childElementCount) await open(wanted);
  else if (wide.matches) message.focus();
}

export function leave() {}

async function open(wanted) {
  stop();
  session = wanted;
  sessions.mark(session);
  said.replaceChildren(...(session ? [] : [welcome()]));
  if (wide.matches) message.focus();
  if (!session) return;
  try {
    const { messages } = await get(`v1/sessions/${encodeURIComponent(wanted)}?limit=200`);
    if (session !== wanted) return;
    said.replaceChildren(...messages.map((one) => bubble(one.role, one.content).item));
    scroll.scrollTop = scroll.scrollHeight;
  } catch (error) {
    if (session === wanted) said.replaceChildren(failure(error.message));
  }
}

function list() {
  sessions.refresh(() => session, (gone) => { if (gone === session) location.hash = "#/chat"; }).catch((error) => show(find("no-sessions"), error.message));
}

function welcome() {
  return make(
    "div",
    { class: "welcome" },
    make("h1", {}, "What can I do for you?"),
    make("p", {}, "Choose an agent below and begin. The conversation is kept, and yours alone."),
  );
}

function bubble(role, text) {
  const body = make("div", { class: "text" }, text);
  const who = make("h2", { class: "hidden" }, role === "user" ? "You said" : "The agent said");
  return { item: make("article", { class: `message ${role}` }, who, body), body };
}

function failure(text, again) {
  const item = make("div", { class: "problem", role: "alert" }, make("p", {}, text));
  if (again) {
    const button = make("button", { type: "button" }, "Try again");
    button.addEventListener("click", again);
    item.append(button);
  }
  return item;
}

function stop() {
  asked?.abort();
}

/** Follows the end of the conversation, unless the reader has scrolled away from it. */
function following(change) {
  const near = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 80;
  change();
  if (near) scroll.scrollTop = scroll.scrollHeight;
}

async function say(text) {
  said.querySelector(".welcome")?.remove();
  const mine = bubble("user", text);
  const answer = bubble("assistant", "");
  answer.item.classList.add("busy");
  said.append(mine.item, answer.item);
  scroll.scrollTop = scroll.scrollHeight;
  tell("The agent is answering.");
  const request = new AbortController();
  asked = request;
  busy(true);
  const undo = () => {
    mine.item.remove();
    answer.item.remove();
  };
  try {
    const done = await told(text, answer.body, request.signal);
    answer.body.textContent = readable(done);
    answer.item.append(make("p", { class: "hint" }, taken(done)));
    tell(done.reply);
    // Not through enter(): the answer is shown already.
    session = done.session_id;
    history.replaceState(null, "", `#/chat/${encodeURIComponent(session)}`);
    list();
  } catch (error) {
    if (error.name === "AbortError") {
      answer.item.append(make("p", { class: "hint" }, "Stopped. This turn is not kept."));
      tell("Stopped.");
    } else {
      if (!answer.body.textContent) answer.item.remove();
      const problem = failure(error.message, () => {
        undo();
        problem.remove();
        say(text);
      });
      said.append(problem);
    }
    scroll.scrollTop = scroll.scrollHeight;
  } finally {
    answer.item.classList.remove("busy");
    if (asked === request) {
      asked = null;
      busy(false);
    }
  }
}

/** Shows the pieces as they come; the whole answer. */
async function told(text, body, signal) {
  const response = await call("v1/chat", {
    method: "POST",
    body: { message: text, agent: find("chat-agent").value || null, session_id: session || null },
    headers: { Accept: "text/event-stream" },
    signal,
  });
  for await (const { event, data } of events(response)) {
    if (event === "delta") following(() => body.append(data.text));
    if (event === "done") return data;
    if (event === "error") throw new Error(inWords(data));
  }
  throw new Error("The connection broke before the answer was complete.");
}

/** An answer with a form of its own is easier to read indented. */
function readable(done) {
  return done.output === null ? done.reply : JSON.stringify(done.output, null, 2);
}

function taken(done) {
  const { input_tokens, output_tokens, cost_micros } = done.usage;
  const cost = cost_micros ? ` · $${(cost_micros / 1e6).toFixed(cost_micros < 10000 ? 5 : 2)}` : "";
  return `${done.agent} · ${done.model} · ${input_tokens} tokens in, ${output_tokens} out${cost}`;
}

function busy(is) {
  find("send").hidden = is;
  find("stop").hidden = !is;
}

function drawer() {
  find("drawer").open = wide.matches;
}

wide.addEventListener("change", drawer);
find("stop").addEventListener("click", () => {
  stop();
  message.focus();
});
find("new").addEventListener("click", () => {
  if (!wide.matches) drawer();
  if (session) location.hash = "#/chat";
  else open("");
  message.focus();
});
message.addEventListener("keydown", (event) => {
  // Not while an input method is composing a word.
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    find("composer").requestSubmit();
  }
});
find("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = message.value.trim();
  if (!text || asked) return;
  message.value = "";
  if (wide.matches) message.focus(); // on a phone that would bring the keyboard back over the answer
  say(text);
});
