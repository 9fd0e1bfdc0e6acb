// The API key: asked for when the service wants one, kept in this tab alone.

import { find } from "./dom.js";

const NAME = "agent-app-key";
const dialog = find("key");
let asking = null;

export const key = () => sessionStorage.getItem(NAME);

/** Asks for a key; one question for all requests that were refused. False if there is none. */
export function ask(why) {
  asking ??= new Promise((answered) => {
    find("key-why").textContent = `${why.split(":")[0]}.`; // what follows is for programs
    find("key-value").value = "";
    dialog.showModal();
    dialog.onclose = () => {
      asking = null;
      answered(dialog.returnValue === "given");
    };
  });
  return asking;
}

export function forget() {
  sessionStorage.removeItem(NAME);
  find("forget").hidden = true;
}

find("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(NAME, find("key-value").value.trim());
  find("key-value").value = "";
  find("forget").hidden = false;
  dialog.close("given");
});
find("key-cancel").addEventListener("click", () => dialog.close(""));
dialog.addEventListener("cancel", () => { dialog.returnValue = ""; });
find("forget").hidden = !key();
