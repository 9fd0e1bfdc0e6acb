// Asks the service; what it refuses becomes an error whose message is for a reader.

import { ask, forget, key } from "./key.js";

export class Refused extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

/** What a problem document says, and when to come back. */
export function inWords(problem, retryAfter = null) {
  const said = problem.detail || problem.title || "Something went wrong.";
  return retryAfter ? `${said} Try again in ${retryAfter} s.` : said;
}

/** The response of a request that was not refused; asks for a key where one is wanted. */
export async function call(path, { method = "GET", body, headers = {}, signal } = {}) {
  for (;;) {
    const sent = key();
    const response = await reach(path, {
      method,
      signal,
      body: body === undefined ? undefined : JSON.stringify(body),
      headers: {
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
        ...(sent ? { Authorization: `Bearer ${sent}` } : {}),
        ...headers,
      },
    });
    if (response.ok) return response;
    const problem = await response.json().catch(() => ({ title: `The service answered with status ${response.status}.` }));
    if (response.status === 401) {
      // Another request may have been given a new key in the meantime.
      if (key() === sent && sent) forget();
      if (key() !== null || await ask(inWords(problem))) continue;
    }
    throw new Refused(inWords(problem, response.headers.get("Retry-After")), response.status);
  }
}

export async function get(path) {
  return (await call(path)).json();
}

export async function post(path, body) {
  return (await call(path, { method: "POST", body })).json();
}

async function reach(path, options) {
  try {
    // Below the page's own directory, so that it works behind a prefix; without cookies, which it needs none of.
    return await fetch(new URL(path, document.baseURI), { ...options, credentials: "omit", cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused("The service cannot be reached. Check your connection and try again.");
  }
}
