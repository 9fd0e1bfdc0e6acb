// Server-sent events from a body: EventSource can neither POST nor send a key.

/** The events of a response as `{event, data}`, `data` read as JSON. */
export async function* events(response) {
  let rest = "";
  for await (const text of decoded(response.body)) {
    rest += text;
    const blocks = rest.split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) yield parsed(block);
  }
}

async function* decoded(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    reader.cancel().catch(() => {}); // the connection may be gone already
  }
}

function parsed(block) {
  const found = { event: "message", data: "" };
  for (const line of block.split("\n")) {
    const [, field, value] = /^(\w+): ?(.*)$/.exec(line) ?? [];
    if (field === "event") found.event = value;
    if (field === "data") found.data += value;
  }
  return { event: found.event, data: JSON.parse(found.data) };
}
