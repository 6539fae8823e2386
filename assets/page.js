// What Gradio's chatbot lacks: the buttons under each message, and the address of the chat.
// Runs as the body of a function of gr.HTML: `element`, `trigger`, `props` and `watch` are its
// arguments. `props.value` is what `chatapp/web/marks.py` makes; every click goes to the server as
// one `click` event. Texts are only ever put in as text, never as HTML.

const labels = props.labels;
const report = (what) => trigger("click", what);

const ICONS = {
  edit: "M4 20h4L19 9l-4-4L4 16zM13.5 6.5l4 4",
  good: "M7 11v9H4v-9zM7 11l4-8a2 2 0 0 1 2 2v4h5a2 2 0 0 1 2 2.3l-1.2 7a2 2 0 0 1-2 1.7H7",
  bad: "M17 13V4h3v9zM17 13l-4 8a2 2 0 0 1-2-2v-4H6a2 2 0 0 1-2-2.3l1.2-7a2 2 0 0 1 2-1.7H17",
  fork: "M6 3v12M18 9a3 3 0 1 0 0-6 3 3 0 0 0 0 6M6 21a3 3 0 1 0 0-6 3 3 0 0 0 0 6M18 9a9 9 0 0 1-9 9",
};

function icon(path) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.appendChild(document.createElementNS(svg.namespaceURI, "path")).setAttribute("d", path);
  return svg;
}

function button(name, action, content) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = `tool ${name}`;
  made.title = labels[name];
  made.setAttribute("aria-label", labels[name]);
  made.append(content ?? icon(ICONS[name]));
  made.addEventListener("click", action);
  return made;
}

// --- asking for a text: one dialog outside of what Gradio draws anew

function askFor(title, text, done, { long = true, brief = false } = {}) {
  const dialog = document.createElement("dialog");
  dialog.className = "ask";
  const form = document.createElement("form");
  form.method = "dialog";
  const heading = document.createElement("h2");
  heading.textContent = title;
  const field = document.createElement(long ? "textarea" : "input");
  field.value = text;
  field.classList.toggle("brief", brief);
  field.setAttribute("aria-label", title);
  const row = document.createElement("div");
  const cancel = document.createElement("button");
  cancel.type = "button";
  cancel.textContent = labels.cancel;
  const save = document.createElement("button");
  save.className = "save";
  save.textContent = labels.save;
  row.append(cancel, save);
  form.append(heading, field, row);
  dialog.append(form);
  document.body.append(dialog);
  cancel.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  form.addEventListener("submit", () => {
    if (field.value.trim() || brief) done(field.value);
  });
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  dialog.showModal();
  field.focus();
}

// --- what stands under a message

function tools(mark) {
  const bar = document.createElement("span");
  bar.className = "tools";
  const message = mark.id;
  if (mark.versions > 1) {
    const step = (by) => report({ do: "choose", message, step: by });
    const earlier = button("earlier-version", () => step(-1), "‹");
    const later = button("later-version", () => step(1), "›");
    earlier.disabled = mark.version === 1;
    later.disabled = mark.version === mark.versions;
    const place = document.createElement("span");
    place.className = "version";
    place.textContent = `${mark.version}/${mark.versions}`;
    bar.append(earlier, place, later);
  }
  if (mark.text !== undefined && !mark.writing) {
    const save = (text) => report({ do: "edit", message, text });
    bar.append(button("edit", () => askFor(labels.edit, mark.text, save)));
  }
  if (mark.role === "assistant" && !mark.writing) {
    for (const [name, good] of [["good", true], ["bad", false]]) {
      const judge = button(name, () => {
        if (mark.good === good) report({ do: "judge", message });
        else if (good) report({ do: "judge", message, good, why: "" });
        else {
          const tell = (why) => report({ do: "judge", message, good, why });
          askFor(labels.why, "", tell, { brief: true });
        }
      });
      judge.setAttribute("aria-pressed", String(mark.good === good));
      if (mark.good === good && mark.why) judge.title = mark.why;
      bar.append(judge);
    }
    bar.append(button("fork", () => report({ do: "fork", message })));
  }
  if (mark.note) {
    const note = document.createElement("span");
    note.className = "mark";
    note.textContent = mark.note;
    bar.append(note);
  }
  return bar;
}

// What a person typed is shown as it was typed, beside Gradio's Markdown of it, which is hidden.
function showAsTyped(bubble, text) {
  let typed = bubble.querySelector(":scope > .typed");
  if (!typed) {
    typed = document.createElement("div");
    typed.className = "typed";
    bubble.prepend(typed);
  }
  if (typed.textContent !== text) typed.textContent = text;
}

function groups(messages) {
  const found = [];
  for (const mark of messages) {
    const last = found[found.length - 1];
    if (last && last[0].role === mark.role) last.push(mark);
    else found.push([mark]);
  }
  return found;
}

function decorate() {
  const rows = document.querySelectorAll("#chat .message-row");
  const grouped = groups(props.value?.messages ?? []);
  if (rows.length !== grouped.length) return; // one of both is about to follow
  rows.forEach((row, index) => {
    const group = grouped[index];
    if (group[0].role === "user") {
      row.querySelectorAll("[data-testid=user]").forEach((bubble, place) => {
        if (group[place]) showAsTyped(bubble, group[place].text);
      });
    }
    const beside = row.nextElementSibling;
    if (!beside?.classList.contains("message-buttons")) return;
    const key = JSON.stringify(group);
    const present = beside.querySelector(":scope > .all-tools");
    if (present?.chatappKey === key) return;
    const all = document.createElement("span");
    all.className = "all-tools";
    all.chatappKey = key;
    all.append(...group.map(tools));
    if (present) present.replaceWith(all);
    else beside.append(all);
  });
}

// An answer is copied as the model wrote it: what Gradio has of it has its tags escaped.
let copied = null;

function textToCopy(event) {
  const clicked = event.target.closest?.("#chat .message-buttons button:not(.tool)");
  const all = clicked?.closest(".message-buttons").querySelector(":scope > .all-tools");
  const texts = all ? JSON.parse(all.chatappKey).map((mark) => mark.text) : [];
  return texts.length && texts.every((text) => text !== undefined) ? texts.join("\n\n") : null;
}

document.addEventListener("click", (event) => { copied = textToCopy(event); }, true);
document.addEventListener("copy", (event) => {
  if (copied === null) return;
  event.clipboardData.setData("text/plain", copied);
  event.preventDefault();
});
document.addEventListener("click", () => {
  if (copied !== null) navigator.clipboard?.writeText(copied);
  copied = null;
});

let planned = false;
function plan() {
  if (planned) return;
  planned = true;
  requestAnimationFrame(() => {
    planned = false;
    decorate();
  });
}

// --- the list of chats and the status; their HTML is the server's own (`chatapp/web/shelf.py`)

const ownActions = {
  open: ({ chat, message }) => report({ do: "open", chat, hit: message ?? "" }),
  rename: ({ chat, title }) => {
    const save = (text) => report({ do: "rename", chat, title: text });
    askFor(labels.rename, title, save, { long: false });
  },
  delete: ({ chat }) => report({ do: "delete", chat }),
  restore: ({ chat }) => report({ do: "restore", chat }),
  more: () => report({ do: "more" }),
  redo: ({ message }) => report({ do: "redo", message }),
};

document.addEventListener("click", (event) => {
  const clicked = event.target.closest?.(":is(#shelf, #stats) [data-do]");
  if (!clicked) return;
  if (clicked.tagName === "A" && (event.ctrlKey || event.metaKey || event.shiftKey)) return;
  event.preventDefault();
  ownActions[clicked.dataset.do]?.(clicked.dataset);
});

// Where the list covers the chat, it makes way for what was chosen there.
document.addEventListener("click", (event) => {
  if (innerWidth < 640 && event.target.closest?.("#new-chat, #shelf [data-do=open]")) {
    document.querySelector("#chats.open .toggle-button")?.click();
  }
});

// --- a file is read here and sent as text

const LARGEST_SENT = 7 * 2 ** 20; // less than chatapp/web/guard.py lets in

function upload() {
  const field = document.createElement("input");
  field.type = "file";
  field.accept = ".json,.jsonl,application/json";
  field.addEventListener("change", async () => {
    const [file] = field.files;
    if (!file) return;
    const { name } = file;
    const text = file.size > LARGEST_SENT ? null : await file.text();
    const fits = text !== null && new Blob([JSON.stringify(text)]).size <= LARGEST_SENT;
    report(fits ? { do: "upload", name, text } : { do: "upload", name });
  });
  field.click();
}

document.addEventListener("click", (event) => {
  if (event.target.closest?.("#upload")) upload();
});

document.addEventListener("click", (event) => {
  const menu = document.querySelector("#downloads details[open]");
  const inside = menu?.contains(event.target) && !event.target.closest("a");
  if (menu && !inside) menu.open = false;
});

// --- the address names the chat

let shown = null;

function chatInAddress() {
  return new URLSearchParams(location.search).get("chat") ?? "";
}

function follow() {
  const { chat, named } = props.value ?? {};
  if (!chat) return;
  const wanted = named ? chat : "";
  if (wanted !== chatInAddress()) {
    const query = new URLSearchParams(location.search);
    if (named) query.set("chat", chat);
    else query.delete("chat");
    const address = location.pathname + (query.size ? `?${query}` : "");
    const begun = shown === null || shown === chat;
    history[begun ? "replaceState" : "pushState"](history.state, "", address);
  }
  shown = chat;
}

addEventListener("popstate", () => {
  const chat = chatInAddress();
  if (chat) report({ do: "open", chat });
  else report({ do: "new" });
});

// --- a draft outlives a reload, such as the one after the server was away

const DRAFT = "chatapp-draft";
const box = () => document.querySelector("#message textarea");

addEventListener("pagehide", () => {
  const field = box();
  if (field && (field.value || shown !== null)) sessionStorage.setItem(DRAFT, field.value);
});

function putDraftBack() {
  const draft = sessionStorage.getItem(DRAFT);
  const field = box();
  if (!field) return;
  sessionStorage.removeItem(DRAFT);
  if (!draft || field.value) return;
  field.value = draft;
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

// Several states may come while a browser draws one; the last counts.
watch("value", () => {
  if (shown === null) putDraftBack();
  follow();
  plan();
});
new MutationObserver(plan).observe(document.getElementById("chat") ?? document.body, {
  childList: true,
  subtree: true,
});
addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || document.querySelector("dialog[open]")) return;
  document.getElementById("stop")?.click();
});
